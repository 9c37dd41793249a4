import { CheckIcon, Cross2Icon, PauseIcon, PlayIcon, ReloadIcon } from '@radix-ui/react-icons';
import { Flex } from '@radix-ui/themes';
import { approveJob, cancelJob, pauseJob, resumeJob, retryJob, type Job } from '@readapt/client';
import { useState } from 'react';
import { client } from '../../../api/client.ts';
import { ConfirmButton } from '../../../parts/actions/confirm-button.tsx';
import { isOver } from '../job-queries.ts';
import { optionsOf, RetryFields, type RetryForm } from './retry-fields.tsx';

const PAUSABLE: ReadonlySet<Job['state']> = new Set([
  ...(['queued', 'held'] as const),
  ...(['preparing', 'initializing', 'fine_tuning', 'evaluating'] as const),
]);
const RETRYABLE: ReadonlySet<Job['state']> = new Set(['not_ready', 'failed', 'cancelled']);

/** Buttons for the actions that the job's state allows. */
export function Verbs({ job }: { job: Job }) {
  if (isOver(job)) return RETRYABLE.has(job.state) ? <RetryButton job={job} /> : null;
  return (
    <>
      {job.approval === 'awaited' && <ApproveButton job={job} />}
      {job.state === 'paused' && job.paused_by === 'job' && <ResumeButton job={job} />}
      {PAUSABLE.has(job.state) && <PauseButton job={job} />}
      <CancelButton job={job} />
    </>
  );
}

type VerbProps = { readonly job: Job };

function ApproveButton({ job }: VerbProps) {
  return (
    <ConfirmButton
      label="Approve the job"
      icon={<CheckIcon aria-hidden />}
      color="green"
      run={() => approveJob({ client, path: { id: job.id } })}
    >
      {[
        `${job.adapter_name} will be carried over to the new base model version`,
        'as soon as nothing else holds the job and a worker is free.',
        'What it publishes is served at once where your gateway follows what is current.',
      ].join(' ')}
    </ConfirmButton>
  );
}

function ResumeButton({ job }: VerbProps) {
  return (
    <ConfirmButton
      label="Resume the job"
      icon={<PlayIcon aria-hidden />}
      run={() => resumeJob({ client, path: { id: job.id } })}
    >
      The job goes on from its checkpoint when a worker is free, and ends as if it had never been paused.
    </ConfirmButton>
  );
}

function PauseButton({ job }: VerbProps) {
  return (
    <ConfirmButton
      label="Pause the job"
      icon={<PauseIcon aria-hidden />}
      color="amber"
      run={() => pauseJob({ client, path: { id: job.id } })}
    >
      {[
        job.started_at === null
          ? 'No worker will begin the job until it is resumed.'
          : 'The job ends its step, keeps a checkpoint, and waits until it is resumed.',
        'The time until then counts as held, and its rollout is not complete before the job has ended.',
      ].join(' ')}
    </ConfirmButton>
  );
}

function CancelButton({ job }: VerbProps) {
  const isReady = job.state === 'ready';
  return (
    <ConfirmButton
      label={isReady ? 'End the refinement' : 'Cancel the job'}
      icon={<Cross2Icon aria-hidden />}
      color="red"
      run={() => cancelJob({ client, path: { id: job.id } })}
    >
      {isReady
        ? 'The version that it has published stays. The job only stops looking for a better one.'
        : [
            'The job ends without a new version, and the old version of its adapter stays as it is.',
            'It can be retried later, which begins it anew.',
          ].join(' ')}
    </ConfirmButton>
  );
}

/** Button that restarts the job, with other options if entered. */
function RetryButton({ job }: VerbProps) {
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
