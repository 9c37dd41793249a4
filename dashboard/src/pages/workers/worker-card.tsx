import { Callout, Card, Flex, Heading, Text } from '@radix-ui/themes';
import { ExclamationTriangleIcon } from '@radix-ui/react-icons';
import type { Worker } from '@readapt/client';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { useViewer } from '../../api/viewer.ts';
import { bytes, count, duration, percent } from '../../lib/format.ts';
import { BaseVersionLink } from '../../parts/values/base-version-link.tsx';
import { Facts, Listed } from '../../parts/values/facts.tsx';
import { StateBadge } from '../../parts/values/state-badge.tsx';
import { Time } from '../../parts/values/time.tsx';
import { WorkerVerbs } from './worker-verbs.tsx';

export function WorkerCard({ worker }: { worker: Worker }) {
  const { operates } = useViewer();
  const { id, host, pid, device, state, load } = worker;
  return (
    <Card size="2" asChild>
      <article aria-labelledby={id}>
        <Flex direction="column" gap="3">
          <Flex align="center" justify="between" gap="3" wrap="wrap">
            <Heading as="h3" size="3" id={id} className="any-text">
              {device} on {host}, process {pid}
            </Heading>
            <StateBadge state={state} />
          </Flex>
          <Health worker={worker} />
          <div>
            <Text size="2" className="figures">
              {load === null ? 'Load is not known yet' : `Busy ${percent(load)} of the last five minutes`}
            </Text>
            <div className="share" aria-hidden>
              <span style={{ width: `${(load ?? 0) * 100}%` }} />
            </div>
          </div>
          <Facts
            facts={{
              'Works on': <CurrentJob job={worker.current_job} />,
              'Bases in memory': basesOf(worker.loaded_base_model_version_ids, 'none'),
              'Cannot read': basesOf(worker.unreadable_base_model_version_ids, null),
              Done: doneInWords(worker),
              'Time on jobs': duration(worker.busy_ms),
              'Training speed':
                worker.tokens_per_second === null ? null : `${count(worker.tokens_per_second)} tokens/s`,
              Memory: worker.memory_bytes === null ? null : bytes(worker.memory_bytes),
              Version: worker.version,
              Started: <Time value={worker.started_at} />,
              'Seen last': <Time value={worker.seen_at} />,
            }}
          />
          {operates && <WorkerVerbs worker={worker} />}
        </Flex>
      </article>
    </Card>
  );
}

/** Notice on why the worker takes no jobs and until when; nothing if it takes jobs. */
function Health({ worker: { state, reason, quarantined_until: until, idle_requested_at: idle } }: { worker: Worker }) {
  if (state === 'draining') {
    const then = idle === null ? 'then it stops' : 'then it waits until it is released';
    return <Notice>It ends its job and takes no other; {then}.</Notice>;
  }
  if (state !== 'quarantined') return null;
  return (
    <Notice>
      {reason ?? 'Its machine has failed several jobs in a row.'} It takes no job{' '}
      {until === null ? 'until that is mended' : <Until time={until} />}.
    </Notice>
  );
}

function doneInWords({ jobs_done: done, jobs_failed: failed, faults }: Worker): string {
  return `${count(done)} queue jobs, ${count(failed)} failed attempts, ${count(faults)} faults of the machine`;
}

function Until({ time }: { time: string }) {
  return (
    <>
      for now and tries again <Time value={time} />
    </>
  );
}

function Notice({ children }: { children: ReactNode }) {
  return (
    <Callout.Root color="amber" size="1" highContrast>
      <Callout.Icon>
        <ExclamationTriangleIcon aria-hidden />
      </Callout.Icon>
      <Callout.Text>{children}</Callout.Text>
    </Callout.Root>
  );
}

/** Identifier of an adaptation job at the start of a queue job's identifier. Other kinds of queue jobs do not match. */
const JOB = /^job_[^-]+(-[^-]+){4}/;

function CurrentJob({ job }: { job: string | null }) {
  if (job === null) return 'nothing';
  const [jobId] = JOB.exec(job) ?? [];
  if (jobId === undefined) return job;
  return (
    <Link to="/jobs/$jobId" params={{ jobId }} className="plain-link">
      {job}
    </Link>
  );
}

function basesOf(ids: readonly string[], none: string | null): ReactNode {
  return ids.length === 0 ? (
    none
  ) : (
    <Listed
      values={[...new Set(ids)].map((id) => (
        <BaseVersionLink key={id} id={id} />
      ))}
    />
  );
}
