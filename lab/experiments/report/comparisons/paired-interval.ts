import { normalQuantile, studentQuantile } from '../../../../core/statistics/distributions.ts';
import { mean } from '../statistics.ts';

/** Paired differences of one task: one list for each tenant (seed), with the same test rows in the same order. */
export type TaskDifferences = readonly (readonly number[])[];

/** Parts of the variance of the mean over tasks, in squared units of the differences. */
interface VarianceParts {
  /** Variance between tenants of a task: their training rows, old adapters and random numbers of the jobs. */
  readonly tenants: number;
  /** Variance between test rows of a task, which all of its tenants share. */
  readonly rows: number;
  /** Residual variance, which both of the others contain. */
  readonly rest: number;
}

export interface PairedInterval {
  readonly mean: number;
  /** Two-sided 95 % interval. Null if every task has fewer than two tenants, or fewer than two rows. */
  readonly interval: readonly [number, number] | null;
  readonly degrees: number;
  readonly parts: VarianceParts;
  /** Size of the experiment. Null if tasks differ in their number of tenants or of rows. */
  readonly design: Design | null;
}

/** Size of an experiment with equally large tasks. */
export interface Design {
  readonly tasks: number;
  /** Number of tenants of each task. */
  readonly tenants: number;
  /** Number of test rows of each task. */
  readonly rows: number;
}

const LEVEL = 0.975;

/**
 * Mean of paired differences over the tasks, each counting the same, with an interval that is clustered in two ways:
 * rows of one tenant share its adapters, and tenants of one task share its test rows. The variance is V_tenants +
 * V_rows − V_rest (Cameron, Gelbach and Miller, Robust inference with multiway clustering, 2011). It is unbiased under
 * a model with random effects of both, and taken to be at least as large as either. The interval is Student's t with
 * Satterthwaite's degrees of freedom (1946), because tenants are few. A bootstrap of few tenants would make intervals
 * too short by √((n − 1) / n). The tasks are fixed: the interval is about these tasks and no others.
 * @throws RangeError if tenants of one task have different numbers of rows
 */
export function pairedInterval(tasks: readonly TaskDifferences[]): PairedInterval {
  const parts = tasks.map(partsOf);
  const weight = 1 / tasks.length ** 2;
  const sum = (of: (one: TaskParts) => number): number => weight * parts.reduce((total, one) => total + of(one), 0);
  const variances = {
    tenants: sum(({ tenants }) => tenants),
    rows: sum(({ rows }) => rows),
    rest: sum(({ rest }) => rest),
  };
  const variance = Math.max(variances.tenants, variances.rows, variances.tenants + variances.rows - variances.rest);
  const degrees = degreesOf(parts, weight);
  const center = mean(parts.map((one) => one.mean));
  const half = studentQuantile(normalQuantile(LEVEL), degrees) * Math.sqrt(variance);
  const interval = degrees >= 1 ? ([center - half, center + half] as const) : null;
  return { mean: center, interval, degrees, parts: variances, design: designOf(tasks) };
}

function designOf(tasks: readonly TaskDifferences[]): Design | null {
  const [first] = tasks;
  const [tenants, rows] = [first?.length ?? 0, first?.[0]?.length ?? 0];
  const isBalanced = tasks.every((task) => task.length === tenants && task[0]?.length === rows);
  return isBalanced ? { tasks: tasks.length, tenants, rows } : null;
}

interface TaskParts extends VarianceParts {
  readonly mean: number;
  readonly tenantDegrees: number;
  readonly rowDegrees: number;
}

/** Computes the variances of one task's mean from the means of tenants, the means of rows and the residuals. */
function partsOf(task: TaskDifferences): TaskParts {
  const [{ length: rows } = { length: 0 }] = task;
  if (task.some(({ length }) => length !== rows))
    throw new RangeError(
      `tenants of one task have ${[...new Set(task.map(({ length }) => length))].join(' and ')} rows`,
    );
  const ofTenants = task.map(mean);
  const ofRows = Array.from({ length: rows }, (_, row) => mean(task.map((differences) => differences[row]!)));
  const center = mean(ofTenants);
  const [tenantDegrees, rowDegrees] = [task.length - 1, rows - 1];
  let squares = 0;
  task.forEach((differences, tenant) =>
    differences.forEach((value, row) => (squares += (value - ofTenants[tenant]! - ofRows[row]! + center) ** 2)),
  );
  const restDegrees = tenantDegrees * rowDegrees;
  return {
    mean: center,
    tenants: varianceOfMean(ofTenants, center),
    rows: varianceOfMean(ofRows, center),
    rest: restDegrees > 0 ? squares / restDegrees / (task.length * rows) : 0,
    ...{ tenantDegrees, rowDegrees },
  };
}

function varianceOfMean(values: readonly number[], center: number): number {
  if (values.length < 2) return 0;
  const squares = values.reduce((sum, value) => sum + (value - center) ** 2, 0);
  return squares / (values.length - 1) / values.length;
}

/** Satterthwaite's degrees of freedom of V_tenants + V_rows; 0 if no task has two tenants. */
function degreesOf(parts: readonly TaskParts[], weight: number): number {
  const terms = parts.flatMap(({ tenants, rows, tenantDegrees, rowDegrees }) => [
    { variance: weight * tenants, degrees: tenantDegrees },
    { variance: weight * rows, degrees: rowDegrees },
  ]);
  if (parts.every(({ tenantDegrees }) => tenantDegrees === 0)) return 0;
  const total = terms.reduce((sum, { variance }) => sum + variance, 0);
  const spread = terms.reduce((sum, { variance, degrees }) => sum + (degrees > 0 ? variance ** 2 / degrees : 0), 0);
  // Nothing varies: the interval has no width, whatever the degrees.
  return spread === 0 ? Infinity : Math.max(1, total ** 2 / spread);
}
