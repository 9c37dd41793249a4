import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../formats/atomic-file.ts';

/** Number of rows that are labelled together and whose labels are stored in one file. */
const ROWS_AT_A_TIME = 256;

export interface LabelStoreOptions {
  /** Folder for the files with the labels, for this job alone. It is created when the first labels are stored. */
  readonly folder: string;
  /**
   * Values that determine the labels, as plain JSON. Stored labels are used only if they were made for equal values.
   */
  readonly subject: unknown;
  readonly signal: AbortSignal;
}

/**
 * Labels rows in parts of some hundreds, and stores the labels of each part in a file, so that a restarted job labels
 * only the remaining parts.
 * @param label returns the labels of some rows, in their order; plain JSON
 * @throws the signal's reason
 */
export async function labelInParts<Row, Label>(
  rows: readonly Row[],
  { folder, subject, signal }: LabelStoreOptions,
  label: (part: readonly Row[]) => Promise<readonly Label[]>,
): Promise<Label[]> {
  const labels: Label[] = [];
  for (const { part, file } of partsOf(rows, { folder, subject })) {
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

/** Cuts the rows into parts that are labelled together. Returns each part with the path of the file for its labels. */
function partsOf<Row>(rows: readonly Row[], { folder, subject }: Pick<LabelStoreOptions, 'folder' | 'subject'>) {
  const digest = createHash('sha256').update(JSON.stringify(subject)).digest('hex').slice(0, 16);
  return Array.from({ length: Math.ceil(rows.length / ROWS_AT_A_TIME) }, (_, part) => {
    const start = part * ROWS_AT_A_TIME;
    return { part: rows.slice(start, start + ROWS_AT_A_TIME), file: join(folder, `${digest}-${start}.json`) };
  });
}

/** Reads the stored labels of a part; null if its file is missing or damaged. */
async function readLabels<Label>(file: string, count: number): Promise<readonly Label[] | null> {
  try {
    const found = JSON.parse(await readFile(file, 'utf8')) as readonly Label[];
    return found.length === count ? found : null;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
