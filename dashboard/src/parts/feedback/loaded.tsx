import { Callout, Flex, Skeleton, Text } from '@radix-ui/themes';
import { useEffect, useState, type ReactNode } from 'react';
import { ProblemCallout } from './problem-callout.tsx';

/** After this time somebody who waits wonders whether anything goes on. */
const SLOW_MS = 3000;

interface LoadedProps<T> {
  readonly query: { readonly data: T | undefined; readonly error: unknown; readonly refetch: () => unknown };
  /** What is loaded, for a sentence: `the rollout`. */
  readonly what: string;
  /** Height of the place that it will take, in pixels, so that the page does not jump (default 120). */
  readonly height?: number;
  readonly children: (data: T) => ReactNode;
}

/**
 * What a query has read. Until then it holds the place and says so if that takes long; after an error it says what to do. An error of a
 * later request leaves what was read before in place, below a notice that it is old.
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
  /** What there is none of, as a sentence. */
  readonly title: string;
  /** How one comes into being, or why there is none. */
  readonly children?: ReactNode;
}

/** A list without entries. */
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
