import type { CountRow, SummaryRow } from './rollout.repository.ts';

/** Largest number of pairs of a rollout and a caller, who is a tenant or the operator, for which figures are cached. */
const KEPT = 1000;

/** Smallest number of jobs, controls included, of a rollout that counts as large. */
const LARGE = 10_000;
/**
 * Ratio that limits the time spent on the figures of a large rollout: while its jobs run, computed figures are used for
 * at least 20 times as long as their computation took.
 */
const SHARE = 20;

interface Entry {
  version: string;
  summary: Promise<SummaryRow | undefined>;
  /**
   * Time until which the figures of a large rollout with unfinished jobs are used even if its counts have changed, by
   * the clock of `performance.now()`.
   */
  freshUntil: number;
}

/**
 * Cache for figures of rollouts that depend on all of their jobs, such as medians. After each change of a rollout's
 * counts they are computed once for each tenant and the operator, however many callers ask, and never before the first
 * job has ended. For a large rollout this takes long, so while its jobs run the figures may be outdated, for 20 times
 * as long as their computation took. Once all jobs have ended, the figures are exact.
 */
export class SummaryCache {
  readonly #entries = new Map<string, Entry>();

  /**
   * Returns the figures of rollouts, and computes those that are not in the cache or no longer fresh.
   * @param repository computes figures, with the database as the caller may see it
   * @param counts the rollouts' counts, read before this call
   */
  async get(
    repository: { summaries(rolloutIds: readonly string[], tenantId: string | null): Promise<SummaryRow[]> },
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
      // Callers that ask before the computation ends share its promise.
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
    // A failed computation is dropped, so that the next caller tries again.
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

/** Whether at least one of the jobs that this row counts has ended. */
function hasEnded({ count, unfinished }: CountRow): boolean {
  return count > unfinished;
}
