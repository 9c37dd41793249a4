import {
  DATASET_SPLITS,
  DatasetError,
  parseDataset,
  type DatasetRow,
  type DatasetSplit,
} from '../../../core/formats/dataset/dataset-jsonl.ts';
import { assignSplit } from '../../../core/formats/dataset/dataset-split.ts';
import { unprocessable, type AppError } from '../../lib/errors.ts';

/** Rows by split, counted while the dataset passes. */
export type SplitCounts = Record<DatasetSplit, number>;

const PIECE_CHARACTERS = 1 << 16;

/**
 * Checks uploaded JSONL line by line and gives it back as it is stored: one row a line, each with its split. Holds one
 * line and one piece of output at a time.
 *
 * @param counts is filled in; complete when the last piece has been taken
 * @throws AppError 422 `invalid_dataset` with the first ten bad lines, after the last line
 */
export async function* normalizeDataset(
  chunks: AsyncIterable<Uint8Array>,
  counts: SplitCounts,
): AsyncGenerator<Uint8Array> {
  let piece = '';
  try {
    for await (const row of withSplits(parseDataset(chunks))) {
      counts[row.split]++;
      piece += `${JSON.stringify({ prompt: row.prompt, completion: row.completion, split: row.split })}\n`;
      if (piece.length >= PIECE_CHARACTERS) {
        yield Buffer.from(piece, 'utf8');
        piece = '';
      }
    }
  } catch (error) {
    throw error instanceof DatasetError ? invalidDataset(error) : error;
  }
  requireHeldOutRows(counts);
  yield Buffer.from(piece, 'utf8');
}

/** Gives every row a split where none has one; refuses a dataset in which only some have. */
async function* withSplits(rows: AsyncIterable<DatasetRow>): AsyncGenerator<DatasetRow & { split: DatasetSplit }> {
  const seen = { named: 0, unnamed: 0 };
  for await (const row of rows) {
    seen[row.split === undefined ? 'unnamed' : 'named']++;
    yield { ...row, split: row.split ?? assignSplit(row.prompt) };
  }
  if (seen.named > 0 && seen.unnamed > 0) {
    throw unprocessable(
      'invalid_dataset',
      `${seen.named} rows name their split and ${seen.unnamed} do not, expected all rows to name it or none`,
      { lines: [] },
    );
  }
}

/** Rows to search on and rows to judge by are needed; who shares no training rows has adapters that are not trained. */
function requireHeldOutRows(counts: SplitCounts): void {
  const empty = (['search', 'gate'] as const).filter((split) => counts[split] === 0);
  if (empty.length === 0) return;
  const found = DATASET_SPLITS.map((split) => `${counts[split]} ${split}`).join(', ');
  throw unprocessable(
    'invalid_dataset',
    `the dataset has no ${empty.join(' and no ')} rows (${found}), expected at least one of either; ` +
      'give more rows, or name the split of each',
    { lines: [], splits: { ...counts } },
  );
}

function invalidDataset(error: DatasetError): AppError {
  const lines = error.problems.map(({ line, reason }) => ({ line, reason }));
  return unprocessable('invalid_dataset', error.message, { lines, bad_lines: error.total });
}
