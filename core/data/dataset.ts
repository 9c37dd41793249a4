import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { DatasetError, parseDataset } from '../formats/dataset/dataset-jsonl.ts';
import { hasAnswer, type AnsweredRow, type DatasetRow } from '../formats/dataset/dataset-row.ts';

interface InFile {
  readonly file: string;
}

/** Row of a dataset that has an answer, together with the name of its file. */
export type LoadedRow = AnsweredRow & InFile;

/**
 * Row of a dataset with or without an answer, together with the name of its file. Either all rows of a file have
 * answers, or none has.
 */
export type GivenRow = DatasetRow & InFile;

/**
 * Reads a JSONL dataset into memory. Its rows have answers or are prompts alone.
 * @throws DatasetError with the first ten bad lines; Node's error if the file cannot be read
 */
export async function loadGivenDataset(path: string): Promise<GivenRow[]> {
  const file = basename(path);
  const rows: GivenRow[] = [];
  try {
    for await (const row of parseDataset(createReadStream(path))) rows.push({ ...row, file });
  } catch (error) {
    if (error instanceof DatasetError) error.message = `${file}: ${error.message}`;
    throw error;
  }
  return rows;
}

/**
 * Reads a JSONL dataset whose rows have answers into memory.
 * @throws DatasetError with the first ten bad lines, or if the rows are prompts alone; Node's error if the file cannot
 * be read
 */
export async function loadDataset(path: string): Promise<LoadedRow[]> {
  const rows = await loadGivenDataset(path);
  if (areAnswered(rows)) return rows;
  const reason =
    'has no answer (a completion, or a last message of the assistant), like all rows of this file, ' +
    'and an answer is needed here: only what carries an adapter over works with prompts alone, ' +
    'because the old version answers them';
  const error = new DatasetError([{ line: rows[0]!.line, reason }], 1);
  error.message = `${rows[0]!.file}: ${error.message}`;
  throw error;
}

/** Whether all rows of a dataset have answers. */
export function areAnswered(rows: readonly GivenRow[]): rows is LoadedRow[] {
  return rows.every(hasAnswer);
}
