import { DatasetError, parseDataset } from '../../../core/formats/dataset/dataset-jsonl.ts';
import {
  DATASET_SPLITS,
  questionOf,
  toStoredRow,
  type DatasetRow,
  type DatasetSplit,
} from '../../../core/formats/dataset/dataset-row.ts';
import { assignSplit } from '../../../core/formats/dataset/dataset-split.ts';
import { unprocessable, type AppError } from '../../lib/errors.ts';

/** Number of rows by split. */
export type SplitCounts = Record<DatasetSplit, number>;

const PIECE_CHARACTERS = 1 << 16;

/**
 * Checks uploaded JSONL line by line and yields it in the form in which it is stored: one row per line, each with its
 * split. It holds only one line and one piece of output in memory.
 *
 * @param counts is filled in while rows pass, and complete after the last piece
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
      piece += `${JSON.stringify(toStoredRow(row))}\n`;
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

/** Assigns splits if no row names one. A dataset in which only some rows name one is refused. */
async function* withSplits(rows: AsyncIterable<DatasetRow>): AsyncGenerator<DatasetRow & { split: DatasetSplit }> {
  const seen = { named: 0, unnamed: 0 };
  for await (const row of rows) {
    seen[row.split === undefined ? 'unnamed' : 'named']++;
    yield { ...row, split: row.split ?? assignSplit(questionOf(row)) };
  }
  if (seen.named > 0 && seen.unnamed > 0) {
    throw unprocessable(
      'invalid_dataset',
      `${seen.named} rows name their split and ${seen.unnamed} do not, expected all rows to name it or none`,
      { lines: [] },
    );
  }
}

/** Search rows and gate rows are needed. A tenant may share no training rows: its adapters are never trained. */
function requireHeldOutRows(counts: SplitCounts): void {
  const empty = (['search', 'gate'] as const).filter((split) => counts[split] === 0);
  if (empty.length === 0) return;
  const found = DATASET_SPLITS.map((split) => `${counts[split]} ${split}`).join(', ');
  throw unprocessable(
    'invalid_dataset',
    `the dataset has no ${empty.join(' and no ')} rows (${found}), expected at least one search row and one gate row: ` +
      'upload more rows, or name the split of each',
    { lines: [], splits: { ...counts } },
  );
}

function invalidDataset(error: DatasetError): AppError {
  const lines = error.problems.map(({ line, reason }) => ({ line, reason }));
  return unprocessable('invalid_dataset', error.message, { lines, bad_lines: error.total });
}
