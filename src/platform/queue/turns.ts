import type { QueueName } from './catalog.ts';

/**
 * Longest time for which an entry waits in the worker for entries of another queue to end, in milliseconds. Then it
 * goes back to its queue.
 */
const HOLD_MS = 300;

/**
 * Delay in milliseconds until an entry that went back to its queue may be taken again, for example by an idle worker.
 */
export const RETURN_MS = 100;

/**
 * Decides which queue may use a worker's only device. Entries of only one queue run at a time. An entry of another
 * queue is put back into its own queue, so that it does not wait in a busy worker while other workers are idle. Its
 * queue is then blocked until the device is free. When the device is free, an entry for a rollout has the first turn,
 * because a whole fleet waits for it.
 */
export class Turns {
  readonly #onChange: () => void;
  readonly #blocked = new Set<QueueName>();
  #queue: QueueName | null = null;
  #running = 0;
  /**
   * Whether an entry for a rollout went back to its queue and the free device is kept for it: until its turn, or until
   * an entry of another queue has waited long enough.
   */
  #rolloutWaits = false;
  #waiting: (() => void)[] = [];

  /** @param onChange called when a queue becomes blocked, or is no longer blocked */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** Whether a queue is blocked, so that the worker should fetch none of its entries now. */
  isBlocked(queue: QueueName): boolean {
    return this.#blocked.has(queue);
  }

  /**
   * Waits for the turn of an entry of this queue.
   * @returns a function to call when the entry has ended, or null if the entry has to go back to its queue
   */
  async take(queue: QueueName): Promise<(() => void) | null> {
    const isFree = () => this.#queue === null || this.#queue === queue;
    await this.#until(isFree, HOLD_MS);
    if (isFree() && this.#rolloutWaits && queue !== 'rollouts') {
      await this.#until(() => !this.#rolloutWaits, 2 * (HOLD_MS + RETURN_MS));
      if (isFree()) this.#rolloutWaits = false;
    }
    if (!isFree()) {
      this.#blocked.add(queue);
      if (queue === 'rollouts') this.#rolloutWaits = true;
      this.#onChange();
      return null;
    }
    if (queue === 'rollouts') this.#rolloutWaits = false;
    this.#queue = queue;
    this.#running++;
    this.#wake();
    return () => this.#end();
  }

  #end(): void {
    this.#running--;
    if (this.#running > 0) return;
    this.#queue = null;
    this.#blocked.clear();
    this.#onChange();
    this.#wake();
  }

  async #until(condition: () => boolean, ms: number): Promise<void> {
    const deadline = performance.now() + ms;
    while (!condition() && performance.now() < deadline) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, deadline - performance.now());
        this.#waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
