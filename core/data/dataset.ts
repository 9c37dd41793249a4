import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { DatasetError, parseDataset } from '../formats/dataset/dataset-jsonl.ts';
import type { DatasetRow } from '../formats/dataset/dataset-row.ts';

/** A row with the name of its file. */
export type LoadedRow = DatasetRow & { readonly file: string };

/**
 * Reads a JSONL dataset into memory.
 * @throws DatasetError with the first ten bad lines; Node's error if the file cannot be read
 */
export async function loadDataset(path: string): Promise<LoadedRow[]> {
  const file = basename(path);
  const rows: LoadedRow[] = [];
  try {
    for await (const row of parseDataset(createReadStream(path))) rows.push({ ...row, file });
  } catch (error) {
    if (error instanceof DatasetError) error.message = `${file}: ${error.message}`;
    throw error;
  }
  return rows;
}
