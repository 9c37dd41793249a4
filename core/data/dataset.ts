import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import {
  DatasetError,
  parseDataset,
  type DatasetRow,
  type DatasetSplit,
  type ParseDatasetOptions,
} from '../formats/dataset/dataset-jsonl.ts';

/** A row, and where it was read from. */
export interface LoadedRow extends DatasetRow {
  /** Name of its file. */
  readonly file: string;
}

export interface LoadDatasetOptions extends ParseDatasetOptions {
  /** Only rows of this split; rows that name none belong to every split. */
  readonly split?: DatasetSplit;
}

/**
 * Reads a JSONL dataset into memory.
 * @throws DatasetError with the first ten bad lines and their number; a file system error where it cannot be read
 */
export async function loadDataset(path: string, options: LoadDatasetOptions = {}): Promise<LoadedRow[]> {
  const file = basename(path);
  const rows: LoadedRow[] = [];
  try {
    for await (const row of parseDataset(createReadStream(path), options)) {
      if (options.split === undefined || row.split === undefined || row.split === options.split)
        rows.push({ ...row, file });
    }
  } catch (error) {
    if (error instanceof DatasetError) error.message = `${file}: ${error.message}`;
    throw error;
  }
  return rows;
}
