import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../formats/atomic-file.ts';

/** Number of rows that are labelled, and whose labels are kept, at a time. */
const ROWS_AT_A_TIME = 256;

export interface LabelStoreOptions {
  /** Folder of the job's own. It is created when there is something to keep. */
  readonly folder: string;
  /** Plain JSON that says everything that the labels follow from. */
  readonly subject: unknown;
  readonly signal: AbortSignal;
}

/**
 * Labels rows some hundreds at a time, and keeps the labels of each part in a file, so that a job which starts again labels
 * only what it had not.
 * @param label returns the labels of some rows, in their order; plain JSON
 * @throws the signal's reason
 */
export async function labelInParts<Row, Label>(
  rows: readonly Row[],
  { folder, subject, signal }: LabelStoreOptions,
  label: (part: readonly Row[]) => Promise<readonly Label[]>,
): Promise<Label[]> {
  const digest = createHash('sha256').update(JSON.stringify(subject)).digest('hex').slice(0, 16);
  const labels: Label[] = [];
  for (let start = 0; start < rows.length; start += ROWS_AT_A_TIME) {
    const part = rows.slice(start, start + ROWS_AT_A_TIME);
    const file = join(folder, `${digest}-${start}.json`);
    const kept = await readLabels<Label>(file, part.length);
    if (kept === null) signal.throwIfAborted();
    const found = kept ?? (await label(part));
    if (kept === null) {
      await mkdir(folder, { recursive: true });
      await writeFileAtomic(file, JSON.stringify(found));
    }
    for (const each of found) labels.push(each);
  }
  return labels;
}

/** Returns null where there is no such file, or it is damaged. */
async function readLabels<Label>(file: string, count: number): Promise<readonly Label[] | null> {
  try {
    const found = JSON.parse(await readFile(file, 'utf8')) as readonly Label[];
    return found.length === count ? found : null;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
