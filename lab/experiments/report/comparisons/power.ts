import { normalDistribution, normalQuantile, studentQuantile } from '../../../../core/statistics/distributions.ts';
import type { Design } from './paired-interval.ts';

/** Standard deviations of the paired difference, in units of the metric. */
export interface Deviations {
  /** Standard deviation of a tenant's true mean about that of its task. */
  readonly tenants: number;
  /** Standard deviation of a row's true mean about that of its task. */
  readonly rows: number;
  /** Residual standard deviation of a single difference beside tenant and row. */
  readonly rest: number;
}

/** Expected half width of the interval of `pairedInterval`. */
export function expectedHalfWidth(deviations: Deviations, { tasks, tenants, rows }: Design): number {
  return (
    studentQuantile(normalQuantile(0.975), tasks * (tenants - 1)) * standardError(deviations, { tasks, tenants, rows })
  );
}

/** Probability that the interval shows a difference to be above −margin, if the true difference is zero. */
export function powerOf(deviations: Deviations, design: Design, margin: number): number {
  return normalDistribution((margin - expectedHalfWidth(deviations, design)) / standardError(deviations, design));
}

function standardError(deviations: Deviations, { tasks, tenants, rows }: Design): number {
  const ofTask =
    deviations.tenants ** 2 / tenants + deviations.rows ** 2 / rows + deviations.rest ** 2 / (tenants * rows);
  return Math.sqrt(ofTask / tasks);
}

/** Computes the deviations, never negative, from the variances of the means of a balanced design. */
export function deviationsOf(
  parts: { readonly tenants: number; readonly rows: number; readonly rest: number },
  { tasks, tenants, rows }: Design,
): Deviations {
  const root = (variance: number): number => Math.sqrt(Math.max(0, tasks * variance));
  return {
    tenants: root((parts.tenants - parts.rest) * tenants),
    rows: root((parts.rows - parts.rest) * rows),
    rest: root(parts.rest * tenants * rows),
  };
}
