import { isBetter, type MetricValue } from '../gate/readiness-gate.ts';
import type { Proposal, RungName } from './candidate.ts';

/** The gate's metric of an adapter on the search rows, by which a training is followed. Plain JSON. */
export interface WatchRecord extends Pick<Proposal, 'id' | 'rung' | 'step'> {
  readonly metric: MetricValue;
  /** Whether the gate rows were opened for the adapter. */
  readonly looked: boolean;
}

/** What the search rows said of each adapter of a run's trainings, and which of them the gate was asked about. */
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

  /** The records of a training, in the order of its steps; what it starts from is not one of them. */
  of(rung: RungName): readonly WatchRecord[] {
    return this.#records.filter((record) => record.rung === rung && record.step > 0);
  }

  /** Number of steps that a rung has trained. */
  stepsOf(rung: RungName): number {
    return this.of(rung).at(-1)?.step ?? 0;
  }

  /** @param decide is asked, with the record in the log, whether the gate is to be asked about the adapter */
  add(record: Omit<WatchRecord, 'looked'>, decide: (record: WatchRecord) => boolean): WatchRecord {
    const place = this.#records.push({ ...record, looked: false }) - 1;
    const decided = { ...record, looked: decide(this.#records[place]!) };
    this.#records[place] = decided;
    return decided;
  }

  /** Whether the search rows promise more of an adapter than of any that the gate was asked about. */
  promisesMore(metric: MetricValue): boolean {
    return this.#records.every((record) => !record.looked || isBetter(metric, record.metric));
  }
}
