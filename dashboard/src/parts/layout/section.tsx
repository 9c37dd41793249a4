import { Flex, Heading } from '@radix-ui/themes';
import { useId, type ReactNode } from 'react';

interface SectionProps {
  readonly title: string;
  /** Content beside the section's title, such as a link to the whole list. */
  readonly aside?: ReactNode;
  readonly children: ReactNode;
}

/** Section of a page with a heading, which screen readers list as a landmark. */
export function Section({ title, aside, children }: SectionProps) {
  const id = useId();
  return (
    <Flex direction="column" gap="3" mb="6" asChild>
      <section aria-labelledby={id}>
        <Flex align="baseline" justify="between" gap="3" wrap="wrap">
          <Heading as="h2" size="4" id={id}>
            {title}
          </Heading>
          {aside}
        </Flex>
        {children}
      </section>
    </Flex>
  );
}
