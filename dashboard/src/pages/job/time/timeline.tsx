import { useMemo } from 'react';
import type { Event, Job } from '@readapt/client';
import { counted, duration, UNKNOWN } from '../../../lib/format.ts';
import { Chart, type ChartProps } from '../../../parts/chart/chart.tsx';
import { Loaded } from '../../../parts/feedback/loaded.tsx';
import { useNow } from '../../../parts/values/time.tsx';
import { isOver, useEvents } from '../job-queries.ts';
import { attemptsOf, LANES, spansOf, type Lane, type Span } from './spans.ts';

const COLORS: Readonly<Record<Lane, string>> = {
  Waiting: 'var(--gray-8)',
  Held: 'var(--amber-9)',
  Preparing: 'var(--blue-8)',
  Initializing: 'var(--indigo-8)',
  'Fine-tuning': 'var(--indigo-10)',
  Evaluating: 'var(--green-9)',
};

/** Gantt chart of the job's states over time, with a vertical line at the start of each attempt. */
export function Timeline({ job }: { job: Job }) {
  const events = useEvents(job);
  return (
    <Loaded query={events} what="what the job did when" height={220}>
      {(all) => (isOver(job) ? <Spans job={job} events={all} now={0} /> : <RunningSpans job={job} events={all} />)}
    </Loaded>
  );
}

function RunningSpans({ job, events }: { job: Job; events: readonly Event[] }) {
  return <Spans job={job} events={events} now={useNow()} />;
}

function Spans({ job, events, now }: { job: Job; events: readonly Event[]; now: number }) {
  const spans = useMemo(() => spansOf(job, events, now), [job, events, now]);
  const plot = useMemo(() => plotOf(spans, job.ready_at !== null), [spans, job.ready_at]);
  const attempts = attemptsOf(spans);
  const whole = spans.at(-1)?.to ?? 0;
  return (
    <Chart
      label={`What the job did in ${duration(whole)}, ${counted(attempts.length, 'attempt')}`}
      height={60 + 28 * lanesOf(spans).length}
      plot={plot}
      caption={captionOf(attempts.length)}
      table={{
        columns: ['What', 'From', 'For', 'Attempt'],
        rows: spans.map(({ what, from, to, attempt }) => [
          what,
          duration(from),
          duration(to - from),
          attempt ?? UNKNOWN,
        ]),
      }}
    />
  );
}

/** Rows of the chart in which the job has spent time. */
function lanesOf(spans: readonly Span[]): Lane[] {
  return LANES.filter((lane) => spans.some((span) => span.lane === lane));
}

function captionOf(attempts: number): string {
  if (attempts === 0) return 'No worker has taken the job yet.';
  return attempts === 1
    ? 'One worker has taken the job once. The vertical line is where that attempt began.'
    : `Workers have taken the job ${attempts} times. A vertical line is where an attempt began; ` +
        'each goes on from the checkpoint of the one before, or begins anew after a retry.';
}

function plotOf(spans: readonly Span[], isReady: boolean): ChartProps['plot'] {
  const end = spans.at(-1)?.to ?? 0;
  return (plot) => ({
    marginLeft: 90,
    marginRight: 24,
    marginTop: 24,
    x: { label: 'seconds since the rollout was accepted', domain: [0, Math.max(end, 1) / 1000], grid: true },
    y: { domain: lanesOf(spans), label: null },
    marks: [
      plot.barX(spans, {
        x1: ({ from }: Span) => from / 1000,
        x2: ({ to }: Span) => to / 1000,
        y: 'lane',
        fill: ({ lane }: Span) => COLORS[lane],
        insetTop: 3,
        insetBottom: 3,
        rx: 2,
      }),
      plot.ruleX(attemptsOf(spans), {
        x: ({ at }: { at: number }) => at / 1000,
        stroke: 'var(--gray-12)',
        strokeDasharray: '3,3',
      }),
      plot.text(attemptsOf(spans), {
        x: ({ at }: { at: number }) => at / 1000,
        text: ({ attempt }: { attempt: number }) => `attempt ${attempt}`,
        frameAnchor: 'top',
        dy: -14,
        textAnchor: 'start',
        fill: 'var(--gray-12)',
      }),
      isReady ? plot.ruleX([end / 1000], { stroke: 'var(--green-11)', strokeWidth: 2 }) : null,
    ],
  });
}
