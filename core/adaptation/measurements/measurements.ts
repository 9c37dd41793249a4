import { meanLoss, measure } from '../../data/evaluation/measure.ts';
import type { TokenizedExample } from '../../data/example.ts';
import type { TaskData } from '../../data/task-data.ts';
import type { LoadedBase } from '../../engine/base-cache.ts';
import type { GateMeasurement, MetricValue } from '../../method/gate/readiness-gate.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { MetricName } from '../../options/metrics.ts';
import type { Precision } from '../../options/precisions.ts';
import { completionTokens, subjectOf, type OutcomesSubject } from './gate-outcomes.ts';
import { lookInParts, type LookInParts } from './look-in-parts.ts';

export interface MeasurementsOptions {
  readonly data: TaskData;
  readonly metric: MetricName;
  /** Largest number of tokens that are generated for a gate row; 0 chooses it by the length of the rows' answers. */
  readonly maxNewTokens: number;
  /** Largest number of search rows that the search for coefficients uses. */
  readonly searchRows: number;
  /** Signal that aborts a measurement. It is checked before every batch. */
  readonly signal: AbortSignal;
}

/** Number of search rows on which adapters in training are measured, unless the search for coefficients uses more. */
export const WATCHED_ROWS = 128;

/** Measures adapters on a task's search rows and gate rows. */
export class Measurements {
  readonly #options: MeasurementsOptions;
  readonly #searchRows: readonly TokenizedExample[];

  constructor(options: MeasurementsOptions) {
    this.#options = options;
    this.#searchRows = options.data.search.slice(0, options.searchRows);
  }

  /** Number of search rows that the search for coefficients uses. */
  get searchRows(): number {
    return this.#searchRows.length;
  }

  /** Mean completion loss on the search rows, in nats a token. */
  async searchLoss({ runtime }: LoadedBase, adapter: Adapter): Promise<number> {
    return (await meanLoss(runtime, adapter, this.#searchRows, { signal: this.#options.signal })).value;
  }

  /**
   * Measures the job's metric on the search rows. Uses more rows than the search, because a share of right rows is
   * coarse.
   */
  async onSearch(base: LoadedBase, adapter: Adapter): Promise<MetricValue> {
    const { data, searchRows } = this.#options;
    return (await this.#measure(base, adapter, data.search.slice(0, Math.max(searchRows, WATCHED_ROWS)))).metric;
  }

  /** Measures the job's metric on the gate rows; `null` measures the base without an adapter. */
  async onGate(base: LoadedBase, adapter: Adapter | null): Promise<GateMeasurement> {
    const { data } = this.#options;
    const { metric, values } = await this.#measure(base, adapter, data.gate);
    return { metric, outcomes: { values, tokens: completionTokens(data) }, judgedIn: base.precision.precision };
  }

  /** Measures an adapter on the gate rows part by part, until all are measured or the look may end. */
  async lookAtGate(
    base: LoadedBase,
    adapter: Adapter,
    { parts, isOver }: Pick<LookInParts, 'parts' | 'isOver'>,
  ): Promise<GateMeasurement> {
    const { data, metric } = this.#options;
    const tokens = completionTokens(data);
    const measure = async (rows: readonly number[]) => {
      return (
        await this.#measure(
          base,
          adapter,
          rows.map((row) => data.gate[row]!),
        )
      ).values;
    };
    const found = await lookInParts({ metric, tokens, parts, isOver, measure });
    return { ...found, judgedIn: base.precision.precision };
  }

  async #measure(base: LoadedBase, adapter: Adapter | null, rows: readonly TokenizedExample[]) {
    const { data, metric: name, maxNewTokens, signal } = this.#options;
    const measured = await measure(base, adapter, rows, { metric: name, choices: data.choices, maxNewTokens, signal });
    const { value, standardError, examples, perExample: values } = measured;
    const metric: MetricValue = { name, value, standardError, rows: examples };
    return { metric, values };
  }

  /** Number of gate rows. */
  get gateRows(): number {
    return this.#options.data.gate.length;
  }

  /** Describes the inputs of a measurement by {@link onGate} on a base of the given precision. */
  gateSubject({ endOfTextIds }: Pick<LoadedBase, 'endOfTextIds'>, precision: Precision): OutcomesSubject {
    const { metric, data, maxNewTokens } = this.#options;
    return subjectOf({ metric, data, precision, maxNewTokens, endOfTextIds });
  }
}
