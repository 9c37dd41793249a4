import { Flex, Text, TextField } from '@radix-ui/themes';
import { updateBaseModelVersion, type BaseModelVersion } from '@readapt/client';
import { useId, useState } from 'react';
import { client } from '../../api/client.ts';
import { ConfirmButton } from '../../parts/actions/confirm-button.tsx';

/** Button that sets or removes the date from which a version is no longer served. */
export function RetirementButton({ version: { id, retires_at: retiresAt } }: { version: BaseModelVersion }) {
  const field = useId();
  const [day, setDay] = useState(retiresAt?.slice(0, 10) ?? '');
  const run = () => {
    const time = day === '' ? null : new Date(`${day}T00:00:00Z`).toISOString();
    return updateBaseModelVersion({ client, path: { id }, body: { retires_at: time } });
  };
  return (
    <ConfirmButton label="Say when it retires" question="When does the version retire?" run={run}>
      <Flex direction="column" gap="2">
        <label htmlFor={field}>The first day, by UTC, on which it is not served any more</label>
        <TextField.Root id={field} type="date" value={day} onChange={({ target }) => setDay(target.value)} />
        <Text size="2" color="gray">
          Nothing is stopped by that: lists and alerts say which adapters have to be carried over until then. Without a
          day, it is not decided.
        </Text>
      </Flex>
    </ConfirmButton>
  );
}
