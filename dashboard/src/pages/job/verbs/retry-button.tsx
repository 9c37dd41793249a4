import { ReloadIcon } from '@radix-ui/react-icons';
import { Flex } from '@radix-ui/themes';
import { retryJob, type Job } from '@readapt/client';
import { useState } from 'react';
import { client } from '../../../api/client.ts';
import { ConfirmButton } from '../../../parts/actions/confirm-button.tsx';
import { optionsOf, RetryFields, type RetryForm } from './retry-fields.tsx';

/** Begins the job anew, with other options if somebody gives some. */
export function RetryButton({ job }: { job: Job }) {
  const [form, setForm] = useState<RetryForm>(() => ({ ...job.own_options }));
  return (
    <ConfirmButton
      label="Retry the job"
      icon={<ReloadIcon aria-hidden />}
      run={() => retryJob({ client, path: { id: job.id }, body: { options: optionsOf(form) } })}
    >
      <Flex direction="column" gap="3">
        <div>
          The job begins anew with the dataset and the gate that its adapter has now. Its curves are measured anew, its
          time goes on, and its rollout goes on until it has ended.
        </div>
        <RetryFields job={job} form={form} change={(fields) => setForm((before) => ({ ...before, ...fields }))} />
      </Flex>
    </ConfirmButton>
  );
}
