import { isBetter, type Verdict } from '../gate/readiness-gate.ts';
import type { CandidateRecord, RungName } from './candidate.ts';
import type { LadderState, RungReport } from './ladder-state.ts';
import type { WatchRecord } from './watch-log.ts';

type ReportedState = Pick<LadderState, 'candidates' | 'publishedId' | 'held' | 'watched'>;

/**
 * Records for each rung how long it took and, if it was skipped, the reason. In a run that is resumed after an
 * interruption, the saved times go on growing.
 */
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

  /** Rung that runs now in this process; null between two rungs, and after an interruption until a rung is entered. */
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

  /** Returns a report for each rung of the strategy, in their order. */
  reports(rungs: readonly RungName[], state: ReportedState): RungReport[] {
    const end = endOf(state);
    return rungs.map((rung) => {
      const [best, ...others] = state.candidates.filter((candidate) => candidate.rung === rung);
      const preferred = best && others.reduce((a, b) => (isPreferred(b, a, state.watched) ? b : a), best);
      return this.#report(rung, preferred ?? null, end);
    });
  }

  /**
   * Reports one rung by its best candidate; without a candidate, as skipped or not run.
   * @param end reason to give for a rung that was neither skipped nor run
   */
  #report(rung: RungName, candidate: CandidateRecord | null, end: string): RungReport {
    const ms = this.#msOf(rung);
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
 * Whether candidate `a` ranks above `b`: by the verdict, then by the metric on the gate rows. If the two were not
 * measured on the same gate rows, the metric on the search rows decides instead.
 */
export function isPreferred(
  a: CandidateRecord,
  b: CandidateRecord,
  watched: readonly Pick<WatchRecord, 'id' | 'metric'>[] = [],
): boolean {
  if (a.verdict !== b.verdict) return hasBetterVerdict(a, b);
  if (isComparable(a, b)) return isBetter(a.metric, b.metric);
  const [onSearch, than] = [a, b].map(({ id }) => watched.find((record) => record.id === id)?.metric);
  return onSearch !== undefined && than !== undefined && isBetter(onSearch, than);
}

/** Whether both candidates were measured on the same gate rows, so that their metrics on these rows can be compared. */
export function isComparable(a: CandidateRecord, b: CandidateRecord): boolean {
  return a.metric.rows === b.metric.rows;
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
