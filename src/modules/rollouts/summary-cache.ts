import type { CountRow, createRolloutRepository, SummaryRow } from './rollout.repository.ts';

/** Largest number of rollouts whose figures are kept, each for every tenant that has asked. */
const KEPT = 1000;

interface Entry {
  version: string;
  summary: Promise<SummaryRow | undefined>;
}

/**
 * The figures of rollouts that need all of their jobs, such as medians. They are computed once after each change of the counts,
 * however often they are asked for, and not at all before a job has ended.
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
      const version = String(own.reduce((sum, { changes }) => sum + changes, 0n));
      return [{ id, key: `${id} ${scope ?? ''}`, version }];
    });
    const kept = wanted.map(({ key }) => this.#entries.get(key));
    const missing = wanted.filter(({ version }, place) => kept[place]?.version !== version).map(({ id }) => id);
    const found = missing.length === 0 ? Promise.resolve([]) : repository.summaries(missing, scope);
    const summaries = wanted.map(({ id, key, version }, place) => {
      const known = kept[place];
      if (known?.version === version) return known.summary;
      const summary = found.then((rows) => rows.find((row) => row.rollout_id === id));
      this.#keep(key, { version, summary });
      return summary;
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

/** Whether some of these jobs have a time to readiness, or are all that has to end for the makespan. */
function hasEnded({ count, unfinished }: CountRow): boolean {
  return count > unfinished;
}
