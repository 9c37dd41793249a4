import { isBetter, type MetricValue } from '../gate/readiness-gate.ts';
import type { Proposal, RungName } from './candidate.ts';

/** Gate's metric of a training's adapter on the search rows, which shows the training's progress. Plain JSON. */
export interface WatchRecord extends Pick<Proposal, 'id' | 'rung' | 'step'> {
  readonly metric: MetricValue;
  /** Whether the gate judged the adapter. */
  readonly looked: boolean;
}

/** Metrics of the trainings' adapters on the search rows, with those adapters marked that the gate judged. */
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

  /** Records of a training, in the order of its steps, without its start. */
  of(rung: RungName): readonly WatchRecord[] {
    return this.#records.filter((record) => record.rung === rung && record.step > 0);
  }

  /** Number of steps that a rung has trained. */
  stepsOf(rung: RungName): number {
    return this.of(rung).at(-1)?.step ?? 0;
  }

  /**
   * @param decide is called with the record, which is already in the log, and returns whether the gate shall judge the
   * adapter
   */
  add(record: Omit<WatchRecord, 'looked'>, decide: (record: WatchRecord) => boolean): WatchRecord {
    const place = this.#records.push({ ...record, looked: false }) - 1;
    const decided = { ...record, looked: decide(this.#records[place]!) };
    this.#records[place] = decided;
    return decided;
  }

  /** Whether an adapter's metric on the search rows is better than that of every adapter the gate has judged. */
  promisesMore(metric: MetricValue): boolean {
    return this.#records.every((record) => !record.looked || isBetter(metric, record.metric));
  }
}
