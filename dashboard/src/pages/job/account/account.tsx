import { ExclamationTriangleIcon, InfoCircledIcon, PauseIcon } from '@radix-ui/react-icons';
import { Callout, Text } from '@radix-ui/themes';
import { Link } from '@tanstack/react-router';
import type { Job } from '@readapt/client';
import type { ReactNode } from 'react';
import { sentence } from '../../../lib/format.ts';
import { Time } from '../../../parts/values/time.tsx';
import { adviceFor } from './advice.ts';

/**
 * Explanation of why the job is not ready, with advice: the job failed, was postponed by a fault, or is held or paused.
 */
export function JobAccount({ job }: { job: Job }) {
  return (
    <>
      {job.error !== null && <Failure job={job} error={job.error} />}
      <Wait job={job} />
      {job.warnings.length > 0 && <Warnings warnings={job.warnings} />}
    </>
  );
}

const COLORS: Partial<Record<Job['state'], 'red' | 'amber' | 'gray'>> = { failed: 'red', cancelled: 'gray' };

function Failure({ job, error }: { job: Job; error: NonNullable<Job['error']> }) {
  const { title, steps } = adviceFor(error.code);
  return (
    <Callout.Root
      color={COLORS[job.state] ?? 'amber'}
      highContrast
      mb="4"
      role="region"
      aria-label="Why it is not ready"
    >
      <Callout.Icon>
        <ExclamationTriangleIcon aria-hidden />
      </Callout.Icon>
      <div>
        <Text as="p" weight="bold">
          {title}
        </Text>
        <Text as="p" mt="1" className="any-text">
          {sentence(error.message)}
        </Text>
        {error.detail !== null && error.detail !== undefined && (
          <Text as="p" size="2" mt="1" className="any-text">
            In the words of the worker: {error.detail}
          </Text>
        )}
        <Text as="p" weight="bold" mt="2">
          What to do
        </Text>
        <ul className="advice-list">
          {steps.map((step) => (
            <li key={step}>{step}</li>
          ))}
        </ul>
        <Text as="p" size="1" mt="2">
          Code {error.code}, {job.finished_at === null ? 'attempt' : 'ended in attempt'} {job.attempt}
          {job.finished_at !== null && (
            <>
              , <Time value={job.finished_at} both />
            </>
          )}
        </Text>
      </div>
    </Callout.Root>
  );
}

/** Reason why the job is paused, held or cancelled. */
function Wait({ job }: { job: Job }) {
  const reason = reasonToWait(job);
  if (reason === null) return null;
  return (
    <Callout.Root color="amber" highContrast mb="4" role="region" aria-label="Why it does not go on">
      <Callout.Icon>
        <PauseIcon aria-hidden />
      </Callout.Icon>
      <Text as="p">{reason}</Text>
    </Callout.Root>
  );
}

function reasonToWait(job: Job): ReactNode {
  if (job.state === 'paused' && job.paused_by === 'rollout') {
    return (
      <>
        Paused with{' '}
        <Link to="/rollouts/$rolloutId" params={{ rolloutId: job.rollout_id }} className="plain-link">
          its rollout
        </Link>
        , <Time value={job.paused_at} />. It goes on when that is resumed.
      </>
    );
  }
  if (job.state === 'paused') {
    return (
      <>
        Paused <Time value={job.paused_at} />. It goes on from its checkpoint when it is resumed.
      </>
    );
  }
  if (job.state === 'cancelled' && job.error === null) {
    return (
      'Somebody has cancelled the job. The old version of its adapter stays as it is; ' + 'a retry begins the job anew.'
    );
  }
  if (job.state !== 'held') return null;
  if (job.approval === 'awaited')
    return 'Held until its tenant approves it. Then it waits for its wave and for a worker.';
  if (job.waits_for_job_id !== null) {
    return (
      <>
        Held until{' '}
        <Link to="/jobs/$jobId" params={{ jobId: job.waits_for_job_id }} className="plain-link">
          the job of the same adapter to an older version
        </Link>{' '}
        has ended, because it starts from what comes of it.
      </>
    );
  }
  return job.wave === null
    ? 'Held until its rollout lets it begin.'
    : `Held until wave ${job.wave} of its rollout is released.`;
}

function Warnings({ warnings }: { warnings: readonly string[] }) {
  return (
    <Callout.Root color="gray" variant="surface" highContrast mb="4" role="region" aria-label="Warnings">
      <Callout.Icon>
        <InfoCircledIcon aria-hidden />
      </Callout.Icon>
      <div>
        <Text as="p" weight="bold">
          What the owner of the adapter should know
        </Text>
        <ul className="advice-list">
          {warnings.map((warning) => (
            <li key={warning} className="any-text">
              {sentence(warning)}
            </li>
          ))}
        </ul>
      </div>
    </Callout.Root>
  );
}
