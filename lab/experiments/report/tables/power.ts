import type { Comparison } from '../comparisons/compare.ts';
import { deviationsOf, expectedHalfWidth, powerOf, type Deviations } from '../comparisons/power.ts';
import { table } from '../format.ts';

/** Size of a planned experiment. */
export interface PlannedDesign {
  readonly tasks: number;
  /** Number of test rows of each task. */
  readonly rows: number;
  /** Numbers of tenants of each task. */
  readonly tenants: readonly number[];
}

/** Power of the planned experiment, by the deviations of one comparison. */
export interface PowerLine {
  readonly strategy: string;
  readonly other: string;
  readonly deviations: Deviations;
  /** Degrees of freedom of the deviation of tenants. */
  readonly degrees: number;
  /** Half width of the interval and power, for each planned number of tenants. */
  readonly planned: readonly { readonly tenants: number; readonly halfWidth: number; readonly power: number }[];
}

/** Margin of H1: `auto` is not worse than the published method by more than this share of rows. */
const MARGIN = 0.01;

/**
 * Computes a line for each comparison over all sizes whose tasks have equal numbers of rows and of tenants, at least
 * two.
 */
export function powerLines(comparisons: readonly Comparison[], { tenants, ...rest }: PlannedDesign): PowerLine[] {
  return comparisons.flatMap(({ strategy, other, rows, quality }): PowerLine[] => {
    const measured = quality?.design;
    if (rows !== null || !measured || measured.tenants < 2) return [];
    const deviations = deviationsOf(quality.parts, measured);
    const planned = tenants.map((count) => {
      const design = { ...rest, tenants: count };
      const halfWidth = expectedHalfWidth(deviations, design);
      return { tenants: count, halfWidth, power: powerOf(deviations, design, MARGIN) };
    });
    return [{ strategy, other, deviations, degrees: measured.tasks * (measured.tenants - 1), planned }];
  });
}

export function powerSection(lines: readonly PowerLine[], { tasks, rows, tenants }: PlannedDesign): string[] {
  const deviation = (value: number): string => (100 * value).toFixed(1);
  return [
    '## What the planned rows can show',
    '',
    'Half the width of the interval, and the power to show "not worse by more than one point" if the strategies',
    `are truly equal, for ${tasks} tasks and ${rows.toLocaleString('en')} test rows each, from what the`,
    'comparisons above measured. σ are',
    "standard deviations of the paired difference, in points: of a tenant's true mean, of a row's true mean,",
    'and of what is left. That of tenants is known no better than its degrees of freedom allow.',
    '',
    ...table(
      ['strategy', 'against', 'σ tenants (degrees)', 'σ rows', 'σ rest', ...tenants.map((count) => `${count} seeds`)],
      lines.map(({ strategy, other, deviations, degrees, planned }) => [
        strategy,
        other,
        `${deviation(deviations.tenants)} (${degrees})`,
        deviation(deviations.rows),
        deviation(deviations.rest),
        ...planned.map(({ halfWidth, power }) => `±${(100 * halfWidth).toFixed(2)}, ${Math.round(100 * power)} %`),
      ]),
    ),
    '',
  ];
}
