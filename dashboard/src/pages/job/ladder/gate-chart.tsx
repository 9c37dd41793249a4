import { useMemo } from 'react';
import { capitalized, duration, UNKNOWN } from '../../../lib/format.ts';
import { Chart, type ChartProps } from '../../../parts/chart/chart.tsx';
import { gateLine, labeledLine } from '../chart-lines.ts';
import type { Candidate, LadderRun } from '../job-record.ts';
import { metricName, metricValue } from '../../../lib/metric-words.ts';
import { candidateName, takenWord } from './rung-words.ts';

interface GateChartProps {
  readonly run: LadderRun;
  readonly metric: string;
  /** Value of the metric that the gate requires. */
  readonly target: number | null;
  /** Value of the metric for the old version on its own base. */
  readonly old: number | null;
}

/** One evaluation of a candidate on the gate rows. */
interface Look {
  readonly candidate: Candidate;
  readonly name: string;
  readonly seconds: number;
  readonly value: number;
  readonly bound: number;
  readonly dot: string;
  readonly bar: string;
  readonly isChosen: boolean;
}

const COLORS = {
  passed: { dot: 'var(--green-11)', bar: 'var(--green-7)' },
  inconclusive: { dot: 'var(--amber-11)', bar: 'var(--amber-7)' },
  failed: { dot: 'var(--red-11)', bar: 'var(--red-7)' },
} as const;

/**
 * Chart of all evaluations on the gate rows: each value with its confidence bound, the gate's threshold, and the
 * choice.
 */
export function GateChart({ run, metric, target, old }: GateChartProps) {
  const looks = useMemo(() => looksOf(run), [run]);
  const plot = useMemo(() => plotOf(looks, { metric, target, old }), [looks, metric, target, old]);
  if (looks.length === 0) return null;
  const name = metricName(metric);
  const moment = momentOf(looks.find(({ isChosen }) => isChosen));
  return (
    <Chart
      label={`Looks at the gate rows: ${name} against the gate's line at ${metricValue(target)}; ${moment}`}
      height={220}
      plot={plot}
      caption={
        `A dot is the ${name} of a candidate, the bar the worst true value that the rows leave possible: ` +
        `it certifies where the whole bar is on the good side of the gate's line. ${capitalized(moment)}.`
      }
      table={{
        columns: ['Candidate', 'After', 'Value', 'Bound', 'Needed', 'Verdict'],
        rows: looks.map(({ name: candidate, candidate: { elapsed_ms: ms, gate } }) => [
          candidate,
          duration(ms),
          gate.value === null ? `at most ${metricValue(gate.best_case)}` : metricValue(gate.value),
          gate.bound === null ? UNKNOWN : metricValue(gate.bound),
          metricValue(gate.needed),
          gate.verdict,
        ]),
      }}
    />
  );
}

function momentOf(chosen: Look | undefined): string {
  if (chosen === undefined) return 'no candidate has passed';
  const { name, candidate } = chosen;
  return `${name} ${takenWord(candidate)} ${duration(candidate.elapsed_ms)} after the start of the run`;
}

function looksOf({ candidates, published_candidate: published }: LadderRun): readonly Look[] {
  return candidates.flatMap((candidate): Look[] => {
    const value = candidate.gate.value ?? candidate.gate.best_case;
    if (value === null) return [];
    return [
      {
        candidate,
        name: candidateName(candidate.id),
        seconds: candidate.elapsed_ms / 1000,
        value,
        bound: candidate.gate.bound ?? value,
        ...COLORS[candidate.gate.verdict],
        isChosen: candidate.id === published,
      },
    ];
  });
}

function plotOf(looks: readonly Look[], { metric, target, old }: Omit<GateChartProps, 'run'>): ChartProps['plot'] {
  const chosen = looks.filter(({ isChosen }) => isChosen);
  return (plot) => ({
    marginLeft: 52,
    marginRight: 88,
    marginTop: 26,
    insetTop: 16,
    insetBottom: 8,
    x: {
      label: 'seconds since the start of the run',
      domain: [0, Math.max(...looks.map(({ seconds }) => seconds)) * 1.08],
    },
    y: { label: metricName(metric), grid: true, nice: true },
    marks: [
      gateLine(plot, target),
      labeledLine(plot, old, { text: 'old version', stroke: 'var(--gray-10)', strokeDasharray: '4,3' }),
      plot.ruleX(chosen, { x: 'seconds', stroke: 'var(--green-9)', strokeWidth: 2, strokeDasharray: '2,3' }),
      plot.ruleX(looks, {
        x: 'seconds',
        y1: 'value',
        y2: 'bound',
        stroke: 'bar',
        strokeWidth: 7,
      }),
      plot.dot(looks, { x: 'seconds', y: 'value', r: 5, fill: 'dot', stroke: 'var(--plot-background)' }),
      plot.text(looks, {
        x: 'seconds',
        y: 'value',
        text: 'name',
        dy: -12,
        ...LABEL,
        lineAnchor: 'bottom',
      }),
      plot.text(chosen, {
        x: 'seconds',
        text: ({ candidate }: Look) => takenWord(candidate),
        frameAnchor: 'top',
        dy: -18,
        fill: 'var(--green-11)',
      }),
    ],
  });
}

/** Style of texts, with an outline that keeps them readable on lines and bars. */
const LABEL = { fill: 'var(--gray-12)', stroke: 'var(--plot-background)', strokeWidth: 4 };
