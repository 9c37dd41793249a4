import type { Adapter } from '../../models/lora/adapter.ts';
import { isSamePoint, type Coefficients } from '../fusion/coefficients.ts';
import { raceStages, type MeasuredRows } from './search-race.ts';
import { searchOrder, type SearchEvaluation, type SearchTask } from './search-task.ts';

/** A point of the search with what was measured of it. */
export interface Contender extends MeasuredRows {
  readonly point: Coefficients;
  rows: number;
  /** The fused adapter, made when it is first needed; null before, and after the contender was dropped. */
  adapter: Adapter | null;
  /** Whether another contender is confidently better. */
  isBeaten: boolean;
}

/**
 * Measures the points of one search on its rows. All points use the rows in the same seeded order, and each stage of the
 * race is one evaluation. Evaluations of an earlier, interrupted search are taken from its history.
 */
export class RowMeasurements {
  /** Numbers of rows at which points are compared. */
  readonly stages: readonly number[];
  /** Completion tokens of each row, in the search's order. */
  readonly tokens: readonly number[];
  /** Most points that are measured. */
  readonly budget: number;
  readonly #task: SearchTask;
  /** Indices of the search rows, in the search's order. */
  readonly #order: readonly number[];
  readonly #contenders: Contender[] = [];
  readonly #records: SearchEvaluation[] = [];

  constructor(task: SearchTask) {
    const { evaluations = 12, racing = true } = task.options;
    const rows = task.rowTokens.length;
    this.#task = task;
    this.budget = Math.max(1, evaluations);
    this.stages = raceStages(rows, racing ? undefined : rows);
    this.#order = searchOrder(task.seed, rows);
    this.tokens = this.#order.map((row) => task.rowTokens[row]!);
  }

  /** All evaluations so far, in their order. */
  get records(): readonly SearchEvaluation[] {
    return this.#records;
  }

  get contenders(): readonly Contender[] {
    return this.#contenders;
  }

  /** Adds a point and measures it on the rows of the first stage. */
  async add({ alpha, beta }: Coefficients): Promise<Contender> {
    const losses = new Float64Array(this.#order.length);
    const contender = { point: { alpha, beta }, rows: 0, losses, adapter: null, isBeaten: false };
    this.#contenders.push(contender);
    const [first = 0] = this.stages;
    await this.measure(contender, first);
    return contender;
  }

  /** Measures a point on all rows up to a number of rows, one evaluation for each stage. */
  async measure(contender: Contender, upTo: number): Promise<void> {
    for (const rows of this.stages.filter((count) => count > contender.rows && count <= upTo)) {
      const known = this.#task.history.find((one) => isSamePoint(one, contender.point) && one.rows === rows);
      const evaluation = known ?? (await this.#evaluate(contender, rows));
      contender.losses.set(evaluation.rowLosses, contender.rows);
      contender.rows = rows;
      this.#records.push(evaluation);
      if (!known) await this.#task.onEvaluation(evaluation, this.budget);
    }
  }

  async #evaluate(contender: Contender, rows: number): Promise<SearchEvaluation> {
    const task = this.#task;
    task.signal.throwIfAborted();
    const start = task.now();
    const { alpha, beta } = contender.point;
    contender.adapter ??= await task.fuse({ alpha, beta });
    const rowLosses = Array.from(await task.rowLosses(contender.adapter, this.#order.slice(contender.rows, rows)));
    const sum = rowLosses.reduce((total, loss) => total + loss, summedLoss(contender));
    const loss = sum / this.tokens.slice(0, rows).reduce((total, count) => total + count, 0);
    if (!Number.isFinite(loss))
      throw new RangeError(`loss at alpha ${alpha}, beta ${beta} is ${loss}, expected a finite number`);
    return { alpha, beta, rows, loss, ms: task.now() - start, rowLosses };
  }
}

/** The loss summed over the first rows; by default over all rows that were measured. */
export function summedLoss({ losses, rows: measured }: MeasuredRows, rows = measured): number {
  return losses.subarray(0, rows).reduce((total, loss) => total + loss, 0);
}
