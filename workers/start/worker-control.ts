import type { Consumer } from '../../src/platform/queue/index.ts';
import { clockProblem, type ClockReading } from '../../src/lib/clock.ts';
import { readClock } from '../../src/platform/database/clock.repository.ts';
import type { Database } from '../../src/platform/database/database.ts';
import type { Draining } from './draining.ts';

/** Reads the database's clock, and creates the control of a worker before the worker's other parts start. */
export async function createWorkerControl(db: Database, clockToleranceMs: number): Promise<WorkerControl> {
  return new WorkerControl(await readClock(db), clockToleranceMs);
}

/**
 * Passes an operator's requests and the state of the clock on to the consumer. The registration, which receives both,
 * exists before the consumer.
 */
export class WorkerControl {
  readonly #clockToleranceMs: number;
  #clockProblem: string | null;
  #consumer: Pick<Consumer, 'liftQuarantine' | 'setClockProblem'> | null = null;
  #draining: Pick<Draining, 'follow'> | null = null;

  constructor(reading: ClockReading, clockToleranceMs: number) {
    this.#clockToleranceMs = clockToleranceMs;
    this.#clockProblem = clockProblem(reading, clockToleranceMs) ?? null;
  }

  /** Problem of this worker's clock; null if there is none. */
  get clockProblem(): string | null {
    return this.#clockProblem;
  }

  attachConsumer(consumer: Pick<Consumer, 'liftQuarantine' | 'setClockProblem'>): void {
    this.#consumer = consumer;
  }

  attachDraining(draining: Pick<Draining, 'follow'>): void {
    this.#draining = draining;
  }

  drain(wanted: 'stop' | 'wait' | null): void {
    this.#draining?.follow(wanted);
  }

  liftQuarantine(): void {
    this.#consumer?.liftQuarantine();
  }

  /** Updates the problem of the clock. A reading that is too uncertain changes nothing. */
  compareClock(reading: ClockReading): void {
    const problem = clockProblem(reading, this.#clockToleranceMs);
    if (problem === undefined) return;
    this.#clockProblem = problem;
    this.#consumer?.setClockProblem(problem);
  }
}
