import { Container, Text } from '@radix-ui/themes';
import { LightningBoltIcon } from '@radix-ui/react-icons';
import { useEffect, useState } from 'react';
import { watchConnection } from '../../api/query-client.ts';
import { exactTime } from '../../lib/format.ts';

/** Notice that the service does not answer. It shows the exact time: a relative one would be read out at each tick. */
export function ConnectionNotice() {
  const [lostAt, setLostAt] = useState<Date | null>(null);
  useEffect(
    () => watchConnection((reachable) => setLostAt((before) => (reachable ? null : (before ?? new Date())))),
    [],
  );
  return (
    <div role="status">
      {lostAt !== null && (
        <div className="connection-notice">
          <Container size="4" px="4" py="2">
            <Text size="2">
              <LightningBoltIcon aria-hidden /> The service has not answered since {exactTime(lostAt)}. What you see was
              read before. The page goes on by itself when it answers again.
            </Text>
          </Container>
        </div>
      )}
    </div>
  );
}
