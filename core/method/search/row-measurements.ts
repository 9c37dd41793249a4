import type { Adapter } from '../../models/lora/adapter.ts';
import { lossDifference } from '../../statistics/paired-statistics.ts';
import { isSamePoint, type Coefficients } from '../fusion/coefficients.ts';
import { searchOrder, type SearchEvaluation, type SearchTask } from './search-task.ts';

/** A point of the search with its losses on the first rows. */
export interface PointLosses {
  readonly point: Coefficients;
  /** Summed completion loss of each row, in the search's order, in nats. */
  readonly losses: Float64Array;
}

/** A point that may lack the last of its losses. */
interface PartlyMeasured extends PointLosses {
  /** Number of rows measured. */
  rows: number;
}

/**
 * Measures the points of one search on its rows, in the same seeded order for all points. What the history has is not
 * measured again: a point that has only the first rows there is measured on the others.
 */
export class RowMeasurements {
  /** Completion tokens of each row, in the search's order. */
  readonly tokens: readonly number[];
  /** Most points that are measured. */
  readonly budget: number;
  readonly #task: SearchTask;
  /** Indices of the search rows, in the search's order. */
  readonly #order: readonly number[];
  readonly #records: SearchEvaluation[] = [];

  constructor(task: SearchTask) {
    const { evaluations = 12 } = task.options;
    this.#task = task;
    this.budget = Math.max(1, evaluations);
    this.#order = searchOrder(task.seed, task.rowTokens.length);
    this.tokens = this.#order.map((row) => task.rowTokens[row]!);
  }

  /** The evaluations of all points so far, those in the history included. */
  get records(): readonly SearchEvaluation[] {
    return this.#records;
  }

  /**
   * Measures points, in one pass over the rows.
   * @param rows the number of first rows to measure on. Default: all
   */
  async measure(points: readonly Coefficients[], rows = this.#order.length): Promise<PointLosses[]> {
    const measured = points.map((point) => this.#recall(point, rows));
    const incomplete = measured.filter((one) => one.rows < rows);
    for (const evaluation of await this.#evaluate(incomplete, rows)) {
      this.#records.push(evaluation);
      await this.#task.onEvaluation(evaluation, this.budget);
    }
    return measured;
  }

  /** A point with what the history has of its first rows. */
  #recall(point: Coefficients, rows: number): PartlyMeasured {
    const recalled = { point, losses: new Float64Array(rows), rows: 0 };
    for (const known of this.#task.history.filter((one) => isSamePoint(one, point) && one.rows <= rows)) {
      recalled.losses.set(known.rowLosses, known.rows - known.rowLosses.length);
      recalled.rows = known.rows;
      this.#records.push(known);
    }
    return recalled;
  }

  /** Measures points on the rows that they lack, and completes their losses. */
  async #evaluate(points: readonly PartlyMeasured[], rows: number): Promise<SearchEvaluation[]> {
    if (points.length === 0) return [];
    const task = this.#task;
    const fused: { readonly adapter: Adapter; readonly ms: number }[] = [];
    for (const { point } of points) {
      task.signal.throwIfAborted();
      const start = task.now();
      fused.push({ adapter: await task.fuse(point), ms: task.now() - start });
    }
    const from = Math.min(...points.map((one) => one.rows));
    const start = task.now();
    const adapters = fused.map(({ adapter }) => adapter);
    const losses = await task.rowLosses(adapters, this.#order.slice(from, rows));
    const share = (task.now() - start) / points.length;
    return points.map((one, i) => {
      const rowLosses = Array.from(losses[i]!);
      one.losses.set(rowLosses, from);
      one.rows = rows;
      const { alpha, beta } = one.point;
      return { alpha, beta, rows, loss: this.#meanLoss(one), ms: fused[i]!.ms + share, rowLosses };
    });
  }

  /** @throws RangeError if the loss is not finite */
  #meanLoss(measured: PointLosses): number {
    const { alpha, beta } = measured.point;
    const tokens = this.tokens.slice(0, measured.losses.length).reduce((total, count) => total + count, 0);
    const loss = summedLoss(measured) / tokens;
    if (!Number.isFinite(loss))
      throw new RangeError(`loss at alpha ${alpha}, beta ${beta} is ${loss}, expected a finite number`);
    return loss;
  }
}

/** The loss summed over all rows that a point was measured on. */
export function summedLoss({ losses }: PointLosses): number {
  return losses.reduce((total, loss) => total + loss, 0);
}

/**
 * Whether a point's loss is at most one standard error of the difference above the loss of another point on the same rows.
 * Differences are paired: rows are easy or hard for both points alike, so that the difference is known much more precisely
 * than either loss. With a single row there is no standard error, and every point is within noise.
 * @param tokens completion tokens of each search row, in the search's order
 */
export function isWithinNoise(point: PointLosses, other: PointLosses, tokens: readonly number[]): boolean {
  const { value, standardError } = lossDifference({
    before: other.losses,
    after: point.losses,
    tokens: tokens.slice(0, point.losses.length),
  });
  return value <= standardError;
}
