import { PHASES, type Phase } from '../options/phases.ts';

/** Times the phases of a job: exactly one runs at any time, so they add up to the time that has passed. */
export class PhaseClock {
  readonly #onPhase: (phase: Phase) => void;
  readonly #spent = new Map<Phase, number>();
  #current: Phase;
  #since = performance.now();

  /** @param onPhase hears of the first phase and of every change */
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

  /** Milliseconds by phase until now. */
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
