import { Box, Flex } from '@radix-ui/themes';
import { Link, type ErrorComponentProps } from '@tanstack/react-router';
import { Empty } from './loaded.tsx';
import { ProblemCallout } from './problem-callout.tsx';

/**
 * Error in place of a page that fails to load or render, for example because a newer version was deployed meanwhile.
 */
export function PageError({ error }: ErrorComponentProps) {
  return (
    <Box p="4">
      <ProblemCallout error={error} retry={() => location.reload()} />
    </Box>
  );
}

export function NotFound() {
  return (
    <Flex p="5" asChild>
      <main>
        <Empty title="There is no page at this address.">
          Check the address, or begin at{' '}
          <Link to="/" className="plain-link">
            the fleet
          </Link>
          .
        </Empty>
      </main>
    </Flex>
  );
}
