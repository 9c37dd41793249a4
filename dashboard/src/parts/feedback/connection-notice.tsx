import { Container, Text } from '@radix-ui/themes';
import { LightningBoltIcon } from '@radix-ui/react-icons';
import { useEffect, useState } from 'react';
import { watchConnection } from '../../api/query-client.ts';
import { Time } from '../values/time.tsx';

/** Says that the service does not answer, since when what is shown is old, and that nothing has to be done. */
export function ConnectionNotice() {
  const [lostAt, setLostAt] = useState<number | null>(null);
  useEffect(() => watchConnection((reachable, at) => setLostAt((before) => (reachable ? null : (before ?? at)))), []);
  return (
    <div role="status">
      {lostAt !== null && (
        <div className="connection-notice">
          <Container size="4" px="4" py="2">
            <Text size="2">
              <LightningBoltIcon aria-hidden /> The service does not answer since{' '}
              <Time value={new Date(lostAt).toISOString()} />. What you see was read before. The page goes on by itself
              when it answers again.
            </Text>
          </Container>
        </div>
      )}
    </div>
  );
}
