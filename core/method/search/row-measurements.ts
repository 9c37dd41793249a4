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
  async add(point: Coefficients): Promise<Contender> {
    const [contender] = await this.addAll([point]);
    return contender!;
  }

  /** Adds points and measures them on the rows of the first stage, in one pass over these rows. */
  async addAll(points: readonly Coefficients[]): Promise<Contender[]> {
    const added = points.map(({ alpha, beta }): Contender => {
      const losses = new Float64Array(this.#order.length);
      return { point: { alpha, beta }, rows: 0, losses, adapter: null, isBeaten: false };
    });
    this.#contenders.push(...added);
    const [first = 0] = this.stages;
    await this.#measureTogether(added, first);
    return added;
  }

  /** Measures a point on all rows up to a number of rows, one evaluation for each stage. */
  async measure(contender: Contender, upTo: number): Promise<void> {
    for (const rows of this.stages.filter((count) => count > contender.rows && count <= upTo)) {
      await this.#measureTogether([contender], rows);
    }
  }

  /** Measures contenders that were measured on the same rows on those up to the next stage. */
  async #measureTogether(contenders: readonly Contender[], rows: number): Promise<void> {
    const { history, onEvaluation } = this.#task;
    const knownOf = ({ point }: Contender) => history.find((one) => isSamePoint(one, point) && one.rows === rows);
    const unknown = contenders.filter((contender) => !knownOf(contender));
    const evaluations = await this.#evaluate(unknown, rows);
    for (const contender of contenders) {
      const found = evaluations.get(contender);
      const evaluation = found ?? knownOf(contender)!;
      contender.losses.set(evaluation.rowLosses, contender.rows);
      contender.rows = rows;
      this.#records.push(evaluation);
      if (found) await onEvaluation(found, this.budget);
    }
  }

  async #evaluate(contenders: readonly Contender[], rows: number): Promise<ReadonlyMap<Contender, SearchEvaluation>> {
    const task = this.#task;
    const fused: { readonly contender: Contender; readonly adapter: Adapter; readonly ms: number }[] = [];
    for (const contender of contenders) {
      task.signal.throwIfAborted();
      const start = task.now();
      const adapter = (contender.adapter ??= await task.fuse(contender.point));
      fused.push({ contender, adapter, ms: task.now() - start });
    }
    const [{ rows: measured } = { rows }] = contenders;
    const start = task.now();
    const adapters = fused.map(({ adapter }) => adapter);
    const losses = fused.length > 0 ? await task.rowLosses(adapters, this.#order.slice(measured, rows)) : [];
    const share = (task.now() - start) / fused.length;
    return new Map(
      fused.map(({ contender, ms }, i) => {
        return [contender, this.#evaluationOf(contender, rows, { rowLosses: Array.from(losses[i]!), ms: ms + share })];
      }),
    );
  }

  #evaluationOf(
    contender: Contender,
    rows: number,
    { rowLosses, ms }: Pick<SearchEvaluation, 'rowLosses' | 'ms'>,
  ): SearchEvaluation {
    const { alpha, beta } = contender.point;
    const sum = rowLosses.reduce((total, loss) => total + loss, summedLoss(contender));
    const loss = sum / this.tokens.slice(0, rows).reduce((total, count) => total + count, 0);
    if (!Number.isFinite(loss))
      throw new RangeError(`loss at alpha ${alpha}, beta ${beta} is ${loss}, expected a finite number`);
    return { alpha, beta, rows, loss, ms, rowLosses };
  }
}

/** The loss summed over the first rows; by default over all rows that were measured. */
export function summedLoss({ losses, rows: measured }: MeasuredRows, rows = measured): number {
  return losses.subarray(0, rows).reduce((total, loss) => total + loss, 0);
}
