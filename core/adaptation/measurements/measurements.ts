import { longestCompletionOf } from '../../data/evaluation/generated-answers.ts';
import { meanLoss, measure, summarizeMetric } from '../../data/evaluation/measure.ts';
import { labelCount, type TokenizedExample } from '../../data/example.ts';
import type { TaskData } from '../../data/task-data.ts';
import type { LoadedBase } from '../../engine/base-cache.ts';
import { analysesOf } from '../../method/gate/look-plan.ts';
import type { GateMeasurement, MetricValue, SearchMeasurement } from '../../method/gate/readiness-gate.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { MetricName } from '../../options/metrics.ts';
import type { Precision } from '../../options/precisions.ts';
import { completionTokens, subjectOf, toMeasurement, type OutcomesSubject } from './gate-outcomes.ts';

export interface MeasurementsOptions {
  readonly data: TaskData;
  readonly metric: MetricName;
  /**
   * Largest number of tokens that are generated for a row. If it is 0, the number follows from the longest answer of
   * the gate rows, whichever rows are measured, because their outcomes are compared with each other.
   */
  readonly maxNewTokens: number;
  /** Largest number of search rows on which the search for fusion coefficients measures losses. */
  readonly searchRows: number;
  /** Signal that aborts a measurement. It is checked before every batch. */
  readonly signal: AbortSignal;
}

/** Smallest number of search rows on which adapters in training are measured, if the task has as many. */
export const WATCHED_ROWS = 128;

/** Measures adapters on a task's search rows and gate rows. */
export class Measurements {
  readonly #options: MeasurementsOptions;
  readonly #searchRows: readonly TokenizedExample[];
  readonly #longestCompletion: number;
  #nearTies = 0;
  /**
   * Latest generated answer to each row, as token ids. It is the draft for the next version, which probably answers
   * alike.
   */
  readonly #answers = new WeakMap<TokenizedExample, readonly number[]>();

  constructor(options: MeasurementsOptions) {
    this.#options = options;
    this.#searchRows = options.data.search.slice(0, options.searchRows);
    this.#longestCompletion = longestCompletionOf(options.data.gate);
  }

  /** Number of search rows on which the search for fusion coefficients measures losses. */
  get searchRows(): number {
    return this.#searchRows.length;
  }

  /**
   * Number of answers so far with a near tie: a place in the text of a draft at which two tokens were equally probable
   * apart from rounding, so that a step of decoding chose the token.
   */
  get nearTies(): number {
    return this.#nearTies;
  }

  /** Measures the mean loss of the completions in the search rows, in nats a token. */
  async searchLoss({ runtime }: LoadedBase, adapter: Adapter): Promise<number> {
    return (await meanLoss(runtime, adapter, this.#searchRows, { signal: this.#options.signal })).value;
  }

  /**
   * Measures an adapter on the search rows by the gate's metric. It may use more rows than the search for fusion
   * coefficients, because a share of right rows is coarse if there are few rows.
   */
  async onSearch(base: LoadedBase, adapter: Adapter): Promise<SearchMeasurement> {
    const rows = this.#watchedRows;
    const { metric, values } = await this.#measure(base, adapter, rows);
    return { metric, outcomes: { values, tokens: rows.map(labelCount) } };
  }

  get #watchedRows(): readonly TokenizedExample[] {
    const { data, searchRows } = this.#options;
    return data.search.slice(0, Math.max(searchRows, WATCHED_ROWS));
  }

  /** Measures an adapter on all gate rows by the gate's metric. For `null`, it measures the base without an adapter. */
  async onGate(base: LoadedBase, adapter: Adapter | null): Promise<GateMeasurement> {
    const { data } = this.#options;
    const { metric, values } = await this.#measure(base, adapter, data.gate);
    return { metric, outcomes: { values, tokens: completionTokens(data) }, judgedIn: base.precision.precision };
  }

  /**
   * Measures an adapter on more and more gate rows, in their order, until all are measured or `ends` returns true.
   * `ends` is called after certain numbers of rows, with the measurement of the rows so far.
   */
  async lookAtGate(
    base: LoadedBase,
    adapter: Adapter,
    ends: (found: GateMeasurement) => boolean,
  ): Promise<GateMeasurement> {
    const { data, metric } = this.#options;
    const values = new Float64Array(data.gate.length);
    let measured = 0;
    const measureUpTo = async (rows: number): Promise<GateMeasurement> => {
      values.set((await this.#measure(base, adapter, data.gate.slice(measured, rows))).values, measured);
      measured = rows;
      const found = values.subarray(0, rows);
      const summary = summarizeMetric(metric, found, completionTokens(data).slice(0, rows));
      return { ...toMeasurement(found, { metric, data }, summary), judgedIn: base.precision.precision };
    };
    for (const rows of analysesOf(values.length).slice(0, -1)) {
      const found = await measureUpTo(rows);
      if (ends(found)) return found;
    }
    return measureUpTo(values.length);
  }

  async #measure(base: LoadedBase, adapter: Adapter | null, rows: readonly TokenizedExample[]) {
    const { data, metric: name, maxNewTokens, signal } = this.#options;
    const limits = { maxNewTokens, longestCompletion: this.#longestCompletion };
    const draftOf = (example: TokenizedExample) => this.#answers.get(example);
    const options = { metric: name, choices: data.choices, ...limits, draftOf, signal };
    const measured = await measure(base, adapter, rows, options);
    measured.answers?.forEach((ids, row) => this.#answers.set(rows[row]!, ids));
    this.#nearTies += measured.nearTies ?? 0;
    const { value, standardError, examples } = measured;
    const metric: MetricValue = { name, value, standardError, rows: examples };
    return { metric, values: measured.perExample };
  }

  /**
   * Describes the inputs of {@link onGate} and {@link onSearch} other than the weights of base and adapter, for a base
   * of the given precision. Stored outcomes may be used only if they were measured with equal inputs.
   */
  gateSubject({ endOfTextIds }: Pick<LoadedBase, 'endOfTextIds'>, precision: Precision): OutcomesSubject {
    const { metric, data, maxNewTokens } = this.#options;
    return subjectOf({ metric, data, watched: this.#watchedRows, precision, maxNewTokens, endOfTextIds });
  }
}
