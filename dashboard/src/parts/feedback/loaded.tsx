import { Callout, Flex, Skeleton, Text } from '@radix-ui/themes';
import { useEffect, useState, type ReactNode } from 'react';
import { ProblemCallout } from './problem-callout.tsx';

/** Time in milliseconds after which the placeholder says that loading takes longer than usual. */
const SLOW_MS = 3000;

interface LoadedProps<T> {
  readonly query: { readonly data: T | undefined; readonly error: unknown; readonly refetch: () => unknown };
  /** Name of what is loaded, for use within a sentence: `the rollout`. */
  readonly what: string;
  /** Height of the placeholder in pixels, so that the page does not jump (default 120). */
  readonly height?: number;
  readonly children: (data: T) => ReactNode;
}

/**
 * Renders the data of a query. Before the first answer it shows a placeholder, or the error if there is one. If a later
 * request fails, the old data stay below a notice that they are stale.
 */
export function Loaded<T>({ query, what, height = 120, children }: LoadedProps<T>) {
  const { data, error, refetch } = query;
  if (data === undefined) {
    return error === null ? <Loading what={what} height={height} /> : <ProblemCallout error={error} retry={refetch} />;
  }
  return (
    <>
      {error !== null && <Stale what={what} error={error} refetch={refetch} />}
      {children(data)}
    </>
  );
}

function Stale({ what, error, refetch }: { what: string; error: unknown; refetch: () => unknown }) {
  return (
    <Flex direction="column" gap="2" mb="3">
      <ProblemCallout error={error} retry={refetch} />
      <Text size="2" color="gray">
        Below is {what} as it was read last.
      </Text>
    </Flex>
  );
}

export function Loading({ what, height = 120 }: { what: string; height?: number }) {
  const [slow, setSlow] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setSlow(true), SLOW_MS);
    return () => clearTimeout(timer);
  }, []);
  return (
    <Flex direction="column" gap="2" aria-busy>
      <Skeleton height={`${height}px`} />
      <Text role="status" size="2" color="gray">
        {slow ? `Still loading ${what}. This takes longer than usual.` : `Loading ${what} …`}
      </Text>
    </Flex>
  );
}

interface EmptyProps {
  /** Sentence that says what is missing: `No worker is running.` */
  readonly title: string;
  /** Explanation of why there is nothing to show, or of how to change that. */
  readonly children?: ReactNode;
}

/** Message in place of an empty list. */
export function Empty({ title, children }: EmptyProps) {
  return (
    <Callout.Root color="gray" variant="surface" highContrast>
      <Text as="p" weight="bold">
        {title}
      </Text>
      {children !== undefined && <Text as="div">{children}</Text>}
    </Callout.Root>
  );
}
