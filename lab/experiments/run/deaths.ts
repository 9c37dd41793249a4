import type { BegunRecord, ItemRecord } from '../records.ts';
import type { ResultsFile } from '../results.ts';
import { MOST_ATTEMPTS } from './standing.ts';

interface Ways {
  /** Makes the attempt. */
  take(): Promise<ItemRecord>;
  /** Records that the attempts have failed. */
  giveUp(): Promise<ItemRecord>;
}

/**
 * Makes an attempt, with a line before it, so that a process that the kernel has killed is noticed afterwards. An attempt that has taken
 * its process with it twice is not made a third time. One that ends by an error or an interruption has not.
 * @param results which get the record of an attempt that ends before the next one begins
 */
export async function countingDeaths(
  { key }: { readonly key: string },
  results: ResultsFile,
  { take, giveUp }: Ways,
): Promise<ItemRecord> {
  const before = results.recordOf(begunKey(key));
  const deaths = before?.type === 'begun' && results.isAfter(before.key, key) ? before.unended : 0;
  if (deaths >= MOST_ATTEMPTS) return giveUp();
  const note = (unended: number): Promise<void> => results.append(begun(key, unended));
  await note(deaths + 1);
  try {
    return await take();
  } catch (error) {
    // The first error counts, also where the disk is so full that there is no room for the line.
    await note(deaths).catch(() => undefined);
    throw error;
  }
}

function begunKey(key: string): string {
  return `begun ${key}`;
}

function begun(key: string, unended: number): BegunRecord {
  return { type: 'begun', key: begunKey(key), unended, ms: 0, at: new Date().toISOString() };
}
