import { Flex } from '@radix-ui/themes';
import { Link } from '@tanstack/react-router';
import { Empty } from './loaded.tsx';

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
