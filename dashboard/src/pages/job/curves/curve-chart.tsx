import { Heading } from '@radix-ui/themes';
import { useMemo } from 'react';
import { Chart, type PlotModule } from '../../../parts/chart/chart.tsx';
import { stepTick, thinned, type Point } from './points.ts';

interface CurveChartProps {
  readonly title: string;
  /** Unit of the values on the vertical axis. */
  readonly unit?: string;
  readonly curve: readonly Point[];
  /**
   * Draws the values as dots, with a line for their moving average. Useful for values of single batches, which scatter.
   */
  readonly smooth?: boolean;
  /**
   * Last step of the training, for a curve that has points only where its value changes. The line of the last value is
   * drawn up to this step.
   */
  readonly steps?: number | undefined;
}

/** Number of values that the moving average takes together. */
const WINDOW = 9;

/** Chart of one quantity over the training steps; nothing if it has no points or is always 0. */
export function CurveChart({ title, unit, curve, smooth = false, steps }: CurveChartProps) {
  const plot = useMemo(() => plotOf(thinned(curve), { unit, smooth, steps }), [curve, unit, smooth, steps]);
  const [first, last] = [curve[0], curve.at(-1)];
  if (first === undefined || last === undefined || curve.every(({ value }) => value === 0)) return null;
  const range = `from ${shown(first.value)} to ${shown(last.value)}`;
  return (
    <div>
      <Heading as="h3" size="2" mb="1">
        {title}
      </Heading>
      <Chart
        label={`${title} over ${steps ?? last.step} steps of training, ${range}`}
        height={170}
        plot={plot}
        table={{
          columns: ['Step', title],
          rows: thinned(curve).map(({ step, value }) => [step, shown(value)]),
        }}
      />
    </div>
  );
}

function plotOf(curve: readonly Point[], { unit, smooth, steps }: Pick<CurveChartProps, 'unit' | 'smooth' | 'steps'>) {
  const last = curve.at(-1);
  const isStepped = steps !== undefined && last !== undefined;
  const whole = isStepped ? [...curve, { step: Math.max(steps, last.step), value: last.value }] : curve;
  const marks = (plot: PlotModule) => {
    const xy = { x: 'step', y: 'value', stroke: 'var(--accent-9)', strokeWidth: 2 };
    if (!smooth) return [plot.lineY(whole, { ...xy, curve: isStepped ? 'step-after' : 'linear' })];
    return [
      plot.dot(whole, { x: 'step', y: 'value', r: 1.5, fill: 'var(--gray-8)' }),
      plot.lineY(whole, plot.windowY({ k: Math.min(WINDOW, whole.length), anchor: 'middle' }, xy)),
    ];
  };
  return (plot: PlotModule) => ({
    marginLeft: 56,
    x: { label: 'step', ticks: 4, tickFormat: stepTick },
    y: { label: unit ?? null, grid: true, ticks: 4, zero: true },
    marks: marks(plot),
  });
}

/** Formats a value with three significant digits. */
function shown(value: number): string {
  return String(Number(value.toPrecision(3)));
}
