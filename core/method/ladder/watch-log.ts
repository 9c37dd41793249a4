import { isBetter, type MetricValue } from '../gate/readiness-gate.ts';
import type { Proposal, RungName } from './candidate.ts';

/**
 * Measurement of an adapter in training on the search rows, by the gate's metric. It shows the training's progress.
 * Plain JSON.
 */
export interface WatchRecord extends Pick<Proposal, 'id' | 'rung' | 'step'> {
  readonly metric: MetricValue;
  /** Whether the adapter went to the gate after this measurement. */
  readonly looked: boolean;
}

/**
 * Log of the measurements on the search rows of adapters in training. It notes which of these adapters the gate judged.
 */
export class WatchLog {
  readonly #records: WatchRecord[];

  constructor(resumed: readonly WatchRecord[] = []) {
    this.#records = [...resumed];
  }

  get records(): readonly WatchRecord[] {
    return this.#records;
  }

  find(id: string): WatchRecord | undefined {
    return this.#records.find((record) => record.id === id);
  }

  /**
   * Returns the measurements of one rung's training in the order of its steps, without that of the adapter it started
   * from.
   */
  of(rung: RungName): readonly WatchRecord[] {
    return this.#records.filter((record) => record.rung === rung && record.step > 0);
  }

  /**
   * Returns the number of training steps after which a rung's adapter was last measured; 0 before the first
   * measurement.
   */
  stepsOf(rung: RungName): number {
    return this.of(rung).at(-1)?.step ?? 0;
  }

  /**
   * Adds a measurement, and notes whether the gate shall judge the adapter.
   * @param decide gets the measurement, which is already in the log, and returns whether the gate shall judge the
   * adapter
   */
  add(record: Omit<WatchRecord, 'looked'>, decide: (record: WatchRecord) => boolean): WatchRecord {
    const place = this.#records.push({ ...record, looked: false }) - 1;
    const decided = { ...record, looked: decide(this.#records[place]!) };
    this.#records[place] = decided;
    return decided;
  }

  /** Whether a metric on the search rows is better than those of all adapters in the log that the gate has judged. */
  promisesMore(metric: MetricValue): boolean {
    return this.#judged.every((record) => isBetter(metric, record.metric));
  }

  /** Whether a metric on the search rows is as good as those of all adapters in the log that the gate has judged. */
  promisesNoLess(metric: MetricValue): boolean {
    return this.#judged.every((record) => !isBetter(record.metric, metric));
  }

  get #judged(): readonly WatchRecord[] {
    return this.#records.filter(({ looked }) => looked);
  }
}
