import type { BegunRecord, ItemRecord } from '../records.ts';
import type { ResultsFile } from '../results.ts';
import { MOST_ATTEMPTS } from './standing.ts';

interface Ways {
  /** Makes the attempt. */
  take(): Promise<ItemRecord>;
  /** Makes the record of a job whose attempts have all failed. */
  giveUp(): Promise<ItemRecord>;
}

/**
 * Makes an attempt at a job and counts deaths of the process, for example when the kernel kills it for its memory. It
 * writes a line before the attempt, which shows a death afterwards. After two deaths it gives up. Errors and
 * interruptions are not deaths.
 * @param results get the line before the attempt; the caller appends the returned record
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
    // Keep the first error even if the disk is too full for the line.
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
