import type { PlotModule } from '../../parts/chart/chart.tsx';

interface LineStyle {
  readonly text: string;
  readonly stroke: string;
  readonly strokeDasharray?: string;
}

/** Draws a horizontal line across a chart at a value, with a text at its right end; null if the value is unknown. */
export function labeledLine(plot: PlotModule, value: number | null, { text, ...style }: LineStyle) {
  if (value === null) return null;
  return [
    plot.ruleY([value], style),
    plot.text([value], {
      y: (y: number) => y,
      text: () => text,
      frameAnchor: 'right',
      textAnchor: 'start',
      dx: 6,
      fill: style.stroke,
    }),
  ];
}

/** Draws a line across a chart at the value that the gate requires. */
export const gateLine = (plot: PlotModule, target: number | null) =>
  labeledLine(plot, target, { text: 'gate', stroke: 'var(--gray-12)' });
