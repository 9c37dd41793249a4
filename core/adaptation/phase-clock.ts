import { PHASES, type Phase } from '../options/phases.ts';

/**
 * Clock that measures the time of each phase of a job. Exactly one phase is current at any time, so the times sum to
 * the elapsed time.
 */
export class PhaseClock {
  readonly #onPhase: (phase: Phase) => void;
  readonly #spent = new Map<Phase, number>();
  #current: Phase;
  #since = performance.now();

  /**
   * @param first phase in which the clock starts
   * @param onPhase called with the first phase at once, and with the new phase at every change
   */
  constructor(first: Phase, onPhase: (phase: Phase) => void) {
    this.#current = first;
    this.#onPhase = onPhase;
    onPhase(first);
  }

  enter(phase: Phase): void {
    if (phase === this.#current) return;
    this.#settle();
    this.#current = phase;
    this.#onPhase(phase);
  }

  /** Returns the milliseconds that each phase has taken so far. */
  phases(): Record<Phase, number> {
    this.#settle();
    return Object.fromEntries(PHASES.map((phase) => [phase, this.#spent.get(phase) ?? 0])) as Record<Phase, number>;
  }

  #settle(): void {
    const now = performance.now();
    this.#spent.set(this.#current, (this.#spent.get(this.#current) ?? 0) + now - this.#since);
    this.#since = now;
  }
}

/** Returns the milliseconds that all phases together have taken. */
export function totalMs(phases: Readonly<Record<Phase, number>>): number {
  return Object.values(phases).reduce((sum, ms) => sum + ms, 0);
}
