import { DatasetError, MAX_LINE_BYTES, parseDataset } from '../../../core/formats/dataset/dataset-jsonl.ts';
import {
  DATASET_SPLITS,
  hasAnswer,
  questionOf,
  toStoredRow,
  type DatasetRow,
  type DatasetSplit,
} from '../../../core/formats/dataset/dataset-row.ts';
import { assignSplit } from '../../../core/formats/dataset/dataset-split.ts';
import { SETTINGS } from '../../platform/config/settings.ts';
import { AppError, unprocessable } from '../../platform/contract/errors.ts';

/** Number of a dataset's rows in each split: training, search and gate. */
type SplitCounts = Record<DatasetSplit, number>;

/** Largest number of slices in a dataset for which gate rows are counted by slice. */
const MAX_COUNTED_SLICES = 1000;

/** Counts the rows of a dataset while they stream through, by split and by slice. */
export class RowCounts {
  readonly splits: SplitCounts = { training: 0, search: 0, gate: 0 };
  /** Whether the dataset consists of prompts alone. In a dataset, either all rows have answers or none has. */
  promptsOnly = false;
  readonly #gateSlices = new Map<string, number>();

  add(row: DatasetRow & { readonly split: DatasetSplit }): void {
    const { split, slices = [] } = row;
    this.promptsOnly = !hasAnswer(row);
    this.splits[split]++;
    if (split !== 'gate' || this.#gateSlices.size > MAX_COUNTED_SLICES) return;
    for (const name of new Set(slices)) this.#gateSlices.set(name, (this.#gateSlices.get(name) ?? 0) + 1);
  }

  get rows(): number {
    const { training, search, gate } = this.splits;
    return training + search + gate;
  }

  /** Number of gate rows in each slice, sorted by the slices' names; null if there are too many slices to count. */
  get gateSlices(): Record<string, number> | null {
    if (this.#gateSlices.size > MAX_COUNTED_SLICES) return null;
    return Object.fromEntries([...this.#gateSlices].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

const PIECE_CHARACTERS = 1 << 16;

/**
 * Checks uploaded JSONL line by line, and yields it in the form that is stored: one row in each line, with its split.
 * Only one line and one piece of output are in memory at a time.
 *
 * @param counts counts of the rows, which are updated while rows are read, and complete after the last piece of output
 * @param rowLimit largest number of rows
 * @throws AppError 422 `invalid_dataset` with the first ten bad lines, after the last line that is read; 413
 *   `upload_too_large` at the first row over the limit
 */
export async function* normalizeDataset(
  chunks: AsyncIterable<Uint8Array>,
  counts: RowCounts,
  rowLimit: number,
): AsyncGenerator<Uint8Array> {
  let piece = '';
  let rows = 0;
  try {
    for await (const row of withSplits(parseDataset(chunks))) {
      if (++rows > rowLimit) throw tooManyRows(rowLimit);
      counts.add(row);
      piece += `${storedLine(row)}\n`;
      if (piece.length >= PIECE_CHARACTERS) {
        yield Buffer.from(piece, 'utf8');
        piece = '';
      }
    }
  } catch (error) {
    throw error instanceof DatasetError ? invalidDataset(error) : error;
  }
  requireHeldOutRows(counts.splits);
  yield Buffer.from(piece, 'utf8');
}

/**
 * Returns the line that is stored for a row. The stored line names the row's split and can be longer than the uploaded
 * line, so its length is checked against the limit of the workers that read it later.
 */
function storedLine(row: DatasetRow): string {
  const line = JSON.stringify(toStoredRow(row));
  if (Buffer.byteLength(line) <= MAX_LINE_BYTES) return line;
  const reason = `line is longer than ${MAX_LINE_BYTES} bytes as it is stored, with its split`;
  throw new DatasetError([{ line: row.line, reason }], 1);
}

function tooManyRows(rowLimit: number): AppError {
  return new AppError({
    code: 'upload_too_large',
    status: 413,
    message: `the dataset has more than ${rowLimit} rows (${SETTINGS.datasetRowLimit.variable})`,
    details: { max_rows: rowLimit, setting: SETTINGS.datasetRowLimit.variable },
  });
}

/**
 * Gives each row a split, if no row of the dataset names one. A dataset in which only some rows name a split is
 * refused.
 */
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

/**
 * Refuses a dataset without search rows or without gate rows. Training rows may be missing: adapters are then carried
 * over without training.
 */
function requireHeldOutRows(counts: SplitCounts): void {
  const empty = (['search', 'gate'] as const).filter((split) => counts[split] === 0);
  if (empty.length === 0) return;
  const found = DATASET_SPLITS.map((split) => `${counts[split]} ${split}`).join(', ');
  throw unprocessable(
    'invalid_dataset',
    `the dataset has no ${empty.join(' and no ')} rows (${found}), expected at least one search row and one gate ` +
      'row: upload more rows, or name the split of each',
    { lines: [], splits: { ...counts } },
  );
}

function invalidDataset(error: DatasetError): AppError {
  const lines = error.problems.map(({ line, reason }) => ({ line, reason }));
  return unprocessable('invalid_dataset', error.message, { lines, bad_lines: error.total });
}
