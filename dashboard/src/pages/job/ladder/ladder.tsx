import { Card, Select, Text } from '@radix-ui/themes';
import { useNavigate, useSearch } from '@tanstack/react-router';
import type { Job } from '@readapt/client';
import { Empty, Loaded } from '../../../parts/feedback/loaded.tsx';
import { Section } from '../../../parts/layout/section.tsx';
import { isOver, useLadder } from '../job-queries.ts';
import type { LadderRun } from '../job-record.ts';
import { Candidates } from './candidates.tsx';
import { GateChart } from './gate-chart.tsx';
import { RungEntry } from './rung.tsx';

/** Rungs that the job has tried, in order, with the gate's verdicts. */
export function Ladder({ job }: { job: Job }) {
  const query = useLadder(job);
  const { run } = useSearch({ from: '/shell/jobs/$jobId' });
  const runs = query.data?.data ?? [];
  return (
    <Section title="The ladder" aside={runs.length > 1 && <RunChoice runs={runs} shown={run ?? runs.length} />}>
      <Loaded query={query} what="the ladder">
        {({ recorded, data }) =>
          recorded ? <Run job={job} run={data[(run ?? data.length) - 1] ?? data.at(-1)!} /> : <NotRecorded job={job} />
        }
      </Loaded>
    </Section>
  );
}

function Run({ job, run }: { job: Job; run: LadderRun }) {
  const { name, target, old } = job.metric;
  return (
    <>
      <Text as="p" size="2" color="gray">
        Strategy {run.strategy}: rungs are tried from top to bottom, and the first that passes the gate ends the climb.
      </Text>
      <Card size="2">
        <ol className="ladder" aria-label="Rungs of the ladder">
          {run.rungs.map((rung) => (
            <RungEntry key={rung.rung} rung={rung} run={run} metric={name} isOver={isOver(job)} />
          ))}
        </ol>
        <Candidates candidates={run.candidates} leftOut={run.candidates_left_out} />
      </Card>
      <GateChart run={run} metric={name} target={target} old={old} />
    </>
  );
}

function RunChoice({ runs, shown }: { runs: readonly LadderRun[]; shown: number }) {
  const navigate = useNavigate();
  const choose = (value: string) =>
    void navigate({ to: '.', search: (before) => ({ ...before, run: Number(value) }), replace: true });
  return (
    <Select.Root value={String(Math.min(shown, runs.length))} onValueChange={choose}>
      <Select.Trigger aria-label="Run of the job" />
      <Select.Content>
        {runs.map(({ after_attempt: attempt, strategy }, index) => (
          <Select.Item key={attempt} value={String(index + 1)}>
            Run {index + 1} of {runs.length}, {strategy}
          </Select.Item>
        ))}
      </Select.Content>
    </Select.Root>
  );
}

function NotRecorded({ job }: { job: Job }) {
  return (
    <Empty title="No rung has begun.">
      {isOver(job)
        ? 'The job ended before its first rung, or ran on a worker of a version that kept no ladder.'
        : 'The ladder appears when a worker has prepared the job.'}
    </Empty>
  );
}
