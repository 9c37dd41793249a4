import type { Consumer } from '../../src/platform/queue/index.ts';
import { clockProblem, type ClockReading } from '../../src/lib/clock.ts';
import { readClock } from '../../src/platform/database/clock.repository.ts';
import type { Database } from '../../src/platform/database/database.ts';
import type { Draining } from './draining.ts';

/**
 * Reads the database's clock, and creates the {@link WorkerControl} of a worker before the worker's other parts start.
 */
export async function createWorkerControl(db: Database, clockToleranceMs: number): Promise<WorkerControl> {
  return new WorkerControl(await readClock(db), clockToleranceMs);
}

/**
 * Passes an operator's requests and the state of the worker's clock from the registration, which receives both, to the
 * consumer of queue entries, which is created later.
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

  /** Message if this worker's clock differs too much from the database's; null if it does not. */
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

  /**
   * Updates the message about the worker's clock after a comparison with the database's. A reading that is too
   * uncertain changes nothing.
   */
  compareClock(reading: ClockReading): void {
    const problem = clockProblem(reading, this.#clockToleranceMs);
    if (problem === undefined) return;
    this.#clockProblem = problem;
    this.#consumer?.setClockProblem(problem);
  }
}
