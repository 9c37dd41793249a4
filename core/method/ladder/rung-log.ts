import { isBetter, measuredRows, type Verdict } from '../gate/readiness-gate.ts';
import type { CandidateRecord, RungName } from './candidate.ts';
import type { LadderState, RungReport } from './ladder-state.ts';

/** Records what happened on each rung and how long it took. A resumed run continues to count. */
export class RungLog {
  readonly #now: () => number;
  readonly #ms = new Map<RungName, number>();
  readonly #skipped = new Map<RungName, string>();
  #current: RungName | null = null;
  #since = 0;

  constructor(now: () => number, resumed?: Pick<LadderState, 'rungMs' | 'skipped'>) {
    this.#now = now;
    for (const [rung, ms] of Object.entries(resumed?.rungMs ?? {})) this.#ms.set(rung as RungName, ms);
    for (const [rung, reason] of Object.entries(resumed?.skipped ?? {})) this.#skipped.set(rung as RungName, reason);
  }

  /** The rung that this process is on. */
  get current(): RungName | null {
    return this.#current;
  }

  enter(rung: RungName): void {
    this.leave();
    this.#current = rung;
    this.#since = this.#now();
  }

  leave(): void {
    if (this.#current !== null) this.#ms.set(this.#current, this.#msOf(this.#current));
    this.#current = null;
  }

  skip(rung: RungName, reason: string): void {
    this.#skipped.set(rung, reason);
  }

  state(): Pick<LadderState, 'rungMs' | 'skipped'> {
    const entered = new Set([...this.#ms.keys(), ...(this.#current === null ? [] : [this.#current])]);
    const rungMs = Object.fromEntries([...entered].map((rung) => [rung, this.#msOf(rung)]));
    return { rungMs, skipped: Object.fromEntries(this.#skipped) };
  }

  /** Returns a report for every rung of the strategy. */
  reports(rungs: readonly RungName[], state: Pick<LadderState, 'candidates' | 'publishedId' | 'held'>): RungReport[] {
    const end = endOf(state);
    return rungs.map((rung) =>
      this.#report(
        rung,
        state.candidates.filter((candidate) => candidate.rung === rung),
        end,
      ),
    );
  }

  /** @param end why the rungs that were not run were not */
  #report(rung: RungName, own: readonly CandidateRecord[], end: string): RungReport {
    const ms = this.#msOf(rung);
    const candidate = own.length > 0 ? own.reduce((best, next) => (isPreferred(next, best) ? next : best)) : null;
    if (candidate) return { rung, result: candidate.verdict, reason: null, ms, candidate };
    const skipped = this.#skipped.get(rung);
    if (skipped !== undefined) return { rung, result: 'skipped', reason: skipped, ms, candidate };
    return { rung, result: 'not_run', reason: end, ms, candidate };
  }

  #msOf(rung: RungName): number {
    return (this.#ms.get(rung) ?? 0) + (rung === this.#current ? this.#now() - this.#since : 0);
  }
}

const RANKS: Readonly<Record<Verdict, number>> = { passed: 2, inconclusive: 1, failed: 0 };

/**
 * Whether a candidate comes before another: by the verdict, then by how many gate rows it took to be certain of it, then by the
 * metric. All candidates meet the rows in the same order, so one that fails later was better on the rows that both have met.
 */
export function isPreferred(a: CandidateRecord, b: CandidateRecord): boolean {
  if (a.verdict !== b.verdict) return hasBetterVerdict(a, b);
  const [measuredOfA, measuredOfB] = [measuredRows(a.metric), measuredRows(b.metric)];
  return measuredOfA === measuredOfB ? isBetter(a.metric, b.metric) : measuredOfA > measuredOfB;
}

export function hasBetterVerdict(a: CandidateRecord, b: CandidateRecord): boolean {
  return RANKS[a.verdict] > RANKS[b.verdict];
}

function endOf({ candidates, publishedId, held }: Pick<LadderState, 'candidates' | 'publishedId' | 'held'>): string {
  const passed = candidates.find(({ verdict }) => verdict === 'passed');
  if (passed) return `${passed.rung} passed`;
  const published = candidates.find(({ id }) => id === publishedId);
  if (published) return `${published.rung} is published, though it is inconclusive`;
  return held ?? 'the run ended before';
}
