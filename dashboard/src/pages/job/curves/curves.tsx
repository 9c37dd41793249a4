import { Grid } from '@radix-ui/themes';
import { useQueryClient } from '@tanstack/react-query';
import type { Job, MetricPoint } from '@readapt/client';
import { Empty, Loaded } from '../../../parts/feedback/loaded.tsx';
import { Section } from '../../../parts/layout/section.tsx';
import { useLadder, usePart } from '../job-queries.ts';
import { CurveChart } from './curve-chart.tsx';
import { MetricCurve } from './metric-curve.tsx';
import { pointsQuery } from './points-query.ts';
import { curveOf } from './points.ts';

/** Curves of the training: metric, loss, learning rate and regularization. */
export function Curves({ job }: { job: Job }) {
  const ladder = useLadder(job);
  // A retry starts a new run and new curves, so only the points of the last run are read.
  const run = ladder.data?.data.at(-1);
  const points = usePart(pointsQuery(useQueryClient(), job, run?.after_attempt ?? null));
  return (
    <Section title="Training">
      <Loaded query={points} what="the curves">
        {(all) =>
          curveOf(all, 'train_loss').length === 0 ? (
            <Empty title={job.step > 0 ? 'The curves are no longer kept.' : 'The job has not trained.'}>
              {withoutTraining(job)}
            </Empty>
          ) : (
            <>
              <MetricCurve points={all} metric={job.metric} run={run} />
              <Schedules points={all} />
            </>
          )
        }
      </Loaded>
    </Section>
  );
}

function withoutTraining({ step, state }: Job): string {
  if (step > 0) return 'They are pruned after a time, which the operator chooses.';
  return state === 'ready' ? 'A candidate that needs no training was good enough.' : 'Curves appear when it does.';
}

function Schedules({ points }: { points: readonly MetricPoint[] }) {
  return (
    <Grid columns={{ initial: '1', md: '3' }} gap="4">
      <CurveChart title="Training loss" unit="nats per token" curve={curveOf(points, 'train_loss')} smooth />
      <CurveChart title="Learning rate" curve={curveOf(points, 'learning_rate')} />
      <CurveChart
        title="Regularization λ"
        curve={curveOf(points, 'regularization')}
        steps={curveOf(points, 'train_loss').at(-1)?.step}
      />
    </Grid>
  );
}
