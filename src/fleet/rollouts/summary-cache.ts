import type { CountRow, createRolloutRepository, SummaryRow } from './rollout.repository.ts';

/** Largest number of rollouts whose figures are kept, each for every tenant that has asked. */
const KEPT = 1000;

/** Rollouts with so many jobs count as large. */
const LARGE = 10_000;
/** While jobs of a large rollout go on, its figures are computed for at most one part in so many of the time. */
const SHARE = 20;

interface Entry {
  version: string;
  summary: Promise<SummaryRow | undefined>;
  /** Until when the summary is good enough for a large rollout whose jobs go on, by the clock of `performance.now()`. */
  freshUntil: number;
}

/**
 * The figures of rollouts that need all of their jobs, such as medians. They are computed once after each change of the counts,
 * however often they are asked for, and not at all before a job has ended. Those of a large fleet take long, so they may be twenty
 * times as old as they took while its jobs go on. Once all have ended, they are exact.
 */
export class SummaryCache {
  readonly #entries = new Map<string, Entry>();

  /**
   * @param repository computes what is missing, with the database as the caller may see it
   * @param counts what was read of the rollouts' counts, before this is called
   */
  async get(
    repository: Pick<ReturnType<typeof createRolloutRepository>, 'summaries'>,
    rolloutIds: readonly string[],
    counts: readonly CountRow[],
    scope: string | null,
  ): Promise<SummaryRow[]> {
    const wanted = rolloutIds.flatMap((id) => {
      const own = counts.filter((count) => count.rollout_id === id);
      if (!own.some(hasEnded)) return [];
      const version = String(own.reduce((sum, { changes }) => sum + changes, 0));
      return [{ id, key: `${id} ${scope ?? ''}`, version, mayLag: goesOn(own) && jobsOf(own) >= LARGE }];
    });
    const began = performance.now();
    const kept = wanted.map(({ key, version, mayLag }) => {
      const entry = this.#entries.get(key);
      return entry?.version === version || (mayLag && entry !== undefined && began < entry.freshUntil)
        ? entry
        : undefined;
    });
    const missing = wanted.filter((_, place) => kept[place] === undefined).map(({ id }) => id);
    const found = missing.length === 0 ? Promise.resolve([]) : repository.summaries(missing, scope);
    const summaries = wanted.map(({ id, key, version }, place) => {
      const known = kept[place];
      if (known !== undefined) return known.summary;
      // Whoever asks until it is computed gets this one, too.
      const entry: Entry = { version, freshUntil: Number.POSITIVE_INFINITY, summary: Promise.resolve(undefined) };
      entry.summary = found.then((rows) => {
        const ended = performance.now();
        entry.freshUntil = ended + SHARE * (ended - began);
        return rows.find((row) => row.rollout_id === id);
      });
      this.#keep(key, entry);
      return entry.summary;
    });
    return (await Promise.all(summaries)).filter((summary) => summary !== undefined);
  }

  #keep(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    // What could not be computed is tried again.
    entry.summary.catch(() => {
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
    });
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > KEPT && oldest !== undefined) this.#entries.delete(oldest);
  }
}

function goesOn(counts: readonly CountRow[]): boolean {
  return counts.some(({ unfinished }) => unfinished > 0);
}

function jobsOf(counts: readonly CountRow[]): number {
  return counts.reduce((sum, { count }) => sum + count, 0);
}

/** Whether some of these jobs have a time to readiness, or are all that has to end for the makespan. */
function hasEnded({ count, unfinished }: CountRow): boolean {
  return count > unfinished;
}
