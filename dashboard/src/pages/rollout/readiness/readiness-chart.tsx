import { Flex, Text } from '@radix-ui/themes';
import type * as Plot from '@observablehq/plot';
import type { TtrDistribution } from '@readapt/client';
import { useCallback } from 'react';
import { count, duration, percent } from '../../../lib/format.ts';
import { Chart } from '../../../parts/chart/chart.tsx';

/**
 * Time that the chart counts: time without waiting (`working`), for a fair comparison with controls, which start last;
 * or the whole time (`all`).
 */
export type Clock = 'working' | 'all';
type Values = TtrDistribution['adaptations'];

interface Step {
  readonly ms: number;
  /** Share of all jobs that are ready at this time. */
  readonly share: number;
}

const LINES = {
  adaptations: { stroke: 'var(--indigo-9)', strokeWidth: 2.5 },
  // Dashed too, for readers who cannot tell the colours apart.
  controls: { stroke: 'var(--amber-11)', strokeWidth: 2.5, strokeDasharray: '6 4' },
} as const;
const SHARES = [0, 0.25, 0.5, 0.75, 1];

interface ReadinessChartProps {
  readonly distribution: TtrDistribution;
  readonly clock: Clock;
}

/** Chart of the share of ready jobs over time, for adaptations and controls. */
export function ReadinessChart({ distribution: { adaptations, controls }, clock }: ReadinessChartProps) {
  const plot = useCallback(
    (library: typeof Plot) => options(library, [adaptations, controls], clock),
    [adaptations, controls, clock],
  );
  return (
    <div>
      <Legend hasControls={controls.jobs > 0} />
      <Chart
        label={labelOf(adaptations, controls, clock)}
        height={260}
        plot={plot}
        caption={captionOf(clock, controls.jobs > 0)}
        table={{
          columns: ['Share of the jobs that are ready', 'Carried over', 'From scratch'],
          rows: SHARES.map((share) => [
            percent(share),
            duration(timeAt(adaptations, clock, share)),
            duration(timeAt(controls, clock, share)),
          ]),
        }}
      />
    </div>
  );
}

function captionOf(clock: Clock, hasControls: boolean): string {
  if (clock === 'working') return 'Time that workers spent on a job, without the wait in the queue and what was held.';
  const begin = 'Time from the acceptance of the new version.';
  return hasControls ? `${begin} Controls begin after all adaptations, so their waiting is longer.` : begin;
}

function Legend({ hasControls }: { hasControls: boolean }) {
  return (
    <Flex gap="4" wrap="wrap" mb="1" aria-hidden>
      <Text size="2">
        <span className="line-sample line-adaptations" /> Carried over
      </Text>
      {hasControls && (
        <Text size="2">
          <span className="line-sample line-controls" /> From scratch (controls)
        </Text>
      )}
    </Flex>
  );
}

function options(plot: typeof Plot, series: [Values, Values], clock: Clock): Plot.PlotOptions {
  const [adaptations, controls] = series.map((values) => stepsOf(values, clock));
  const end = Math.max(...[...adaptations!, ...controls!].map(({ ms }) => ms)) * 1.04;
  const line = (steps: Step[]) => (steps.length === 0 ? [] : [...steps, { ms: end, share: steps.at(-1)!.share }]);
  const axes = { x: 'ms', y: 'share', curve: 'step-after' } as const;
  return {
    marginLeft: 48,
    marginRight: 12,
    x: {
      label: 'time to readiness',
      domain: [0, end],
      ticks: 5,
      tickFormat: (ms: number) => (ms === 0 ? '0' : duration(ms)),
    },
    y: { label: 'ready', domain: [0, 1], ticks: 5, tickFormat: percent, grid: true },
    marks: [
      plot.ruleY([0]),
      plot.line(line(controls!), { ...axes, ...LINES.controls }),
      plot.line(line(adaptations!), { ...axes, ...LINES.adaptations }),
    ],
  };
}

/**
 * Steps of the share of ready jobs, starting at 0. For many jobs the API returns evenly spaced quantiles instead of all
 * values.
 */
function stepsOf(values: Values, clock: Clock): Step[] {
  const times = timesOf(values, clock);
  if (times.length === 0) return [];
  const ready = values.ready / values.jobs;
  const isWhole = times.length === values.ready;
  const shareOf = (index: number) => (isWhole ? (index + 1) / times.length : index / (times.length - 1));
  return [{ ms: 0, share: 0 }, ...times.map((ms, index) => ({ ms, share: shareOf(index) * ready }))];
}

/** Time in milliseconds after which the given share of all jobs was ready; null if it never was. */
function timeAt(values: Values, clock: Clock, share: number): number | null {
  const [, ...steps] = stepsOf(values, clock);
  return steps.find((step) => step.share >= share)?.ms ?? null;
}

function timesOf(values: Values, clock: Clock): readonly number[] {
  return clock === 'working' ? values.working_ms : values.ttr_ms;
}

function labelOf(adaptations: Values, controls: Values, clock: Clock): string {
  const half = duration(timeAt(adaptations, clock, 0.5));
  const scratch = timeAt(controls, clock, 0.5);
  const begin = `Share of jobs that are ready over time: ${count(adaptations.ready)} of ${count(adaptations.jobs)} are`;
  const middle = half === '–' ? '' : `, half of them within ${half}`;
  return `${begin}${middle}${scratch === null ? '' : `, from scratch within ${duration(scratch)}`}`;
}
