import { useMemo } from 'react';
import type { Job, MetricPoint } from '@readapt/client';
import { UNKNOWN } from '../../../lib/format.ts';
import { Chart, type ChartProps } from '../../../parts/chart/chart.tsx';
import { gateLine } from '../chart-lines.ts';
import type { LadderRun } from '../job-record.ts';
import { metricName, metricValue } from '../../../lib/metric-words.ts';
import { curveOf, stepTick, type Point } from './points.ts';

interface MetricCurveProps {
  readonly points: readonly MetricPoint[];
  readonly metric: Job['metric'];
  readonly run: LadderRun | undefined;
}

interface Drawn {
  /** Points of the metric on the search rows, by which the training is followed. */
  readonly watched: readonly Point[];
  /** Points of the metric on the gate rows, which are evaluated as rarely as possible. */
  readonly gate: readonly Point[];
  readonly target: number | null;
  /** Evaluation on the gate rows of the candidate that was chosen. */
  readonly chosen: Point | undefined;
  readonly name: string;
}

/** Chart of the metric during training: on search rows and gate rows, with the gate's threshold and the chosen step. */
export function MetricCurve({ points, metric, run }: MetricCurveProps) {
  const drawn = useMemo(() => drawnOf(points, metric, run), [points, metric, run]);
  const plot = useMemo(() => plotOf(drawn), [drawn]);
  const { watched, gate, chosen, name } = drawn;
  if (watched.length + gate.length === 0) return null;
  const moment =
    chosen === undefined
      ? 'none of them has passed'
      : `the adapter of step ${chosen.step} was taken with ${metricValue(chosen.value)}`;
  const steps = [...new Set([...watched, ...gate].map(({ step }) => step))].sort((a, b) => a - b);
  return (
    <Chart
      label={`${name} over the steps of training, with the gate's line at ${metricValue(metric.target)}; ${moment}`}
      height={240}
      plot={plot}
      caption={
        `The line is the ${name} on the search rows, by which the training is followed. ` +
        `Dots are looks at the gate rows, which decide: ${moment}.`
      }
      table={{
        columns: ['Step', 'On search rows', 'On gate rows'],
        rows: steps.map((step) => [step, valueAt(watched, step), valueAt(gate, step)]),
      }}
    />
  );
}

function valueAt(curve: readonly Point[], step: number): string {
  const point = curve.find((each) => each.step === step);
  return point === undefined ? UNKNOWN : metricValue(point.value);
}

function drawnOf(points: readonly MetricPoint[], metric: Job['metric'], run: LadderRun | undefined): Drawn {
  const gate = curveOf(points, `gate_${metric.name}`);
  const published = run?.candidates.find(({ id }) => id === run.published_candidate);
  // Match by value, because a candidate counts the steps of its own rung, but the curve counts those of all trainings.
  const chosen = gate.findLast(({ value }) => isSame(value, published?.gate.value ?? null));
  return {
    gate,
    watched: curveOf(points, `watched_${metric.name}`),
    target: metric.target,
    chosen,
    name: metricName(metric.name),
  };
}

const isSame = (a: number, b: number | null) => b !== null && Math.abs(a - b) < 1e-9;

function plotOf({ watched, gate, target, chosen, name }: Drawn): ChartProps['plot'] {
  return (plot) => ({
    marginLeft: 52,
    marginRight: 56,
    marginTop: 26,
    inset: 8,
    x: {
      label: 'step of training',
      tickFormat: stepTick,
      domain: [0, Math.max(...[...watched, ...gate].map(({ step }) => step))],
    },
    y: { label: name, grid: true, nice: true },
    marks: [
      gateLine(plot, target),
      chosen === undefined ? null : plot.ruleX([chosen], { x: 'step', stroke: 'var(--green-9)', strokeWidth: 2 }),
      chosen === undefined
        ? null
        : plot.text([chosen], {
            x: 'step',
            text: ({ step }: Point) => `taken at step ${step}`,
            frameAnchor: 'top',
            dy: -18,
            textAnchor: 'end',
            fill: 'var(--green-11)',
          }),
      plot.lineY(watched, { x: 'step', y: 'value', stroke: 'var(--accent-9)', strokeWidth: 2 }),
      plot.dot(watched, { x: 'step', y: 'value', r: 2.5, fill: 'var(--accent-9)' }),
      plot.dot(gate, { x: 'step', y: 'value', r: 5, fill: 'var(--green-11)', stroke: 'var(--plot-background)' }),
    ],
  });
}
