import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { DatasetError, parseDataset, type DatasetRow, type DatasetSplit, type ParseDatasetOptions } from '../../src/lib/dataset-jsonl.ts';

export { DatasetError, type DatasetRow, type DatasetSplit } from '../../src/lib/dataset-jsonl.ts';

export interface LoadDatasetOptions extends ParseDatasetOptions {
  /** Only rows of this split; rows that name none belong to every split. */
  readonly split?: DatasetSplit;
}

/**
 * Reads a JSONL dataset into memory.
 * @throws DatasetError with the first ten bad lines and their number; a file system error where it cannot be read
 */
export async function loadDataset(path: string, options: LoadDatasetOptions = {}): Promise<DatasetRow[]> {
  const rows: DatasetRow[] = [];
  try {
    for await (const row of parseDataset(createReadStream(path), options)) {
      if (options.split === undefined || row.split === undefined || row.split === options.split) rows.push(row);
    }
  } catch (error) {
    if (error instanceof DatasetError) error.message = `${basename(path)}: ${error.message}`;
    throw error;
  }
  return rows;
}
