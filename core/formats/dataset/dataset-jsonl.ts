import { checkRow, type DatasetRow } from './dataset-row.ts';

interface DatasetProblem {
  /** Number of the bad line, from 1; 0 for a problem of the whole dataset. */
  readonly line: number;
  readonly reason: string;
}

/** A dataset with unusable lines. The message lists the first problems and never quotes a row's text. */
export class DatasetError extends Error {
  readonly code = 'invalid_dataset';
  /** The first {@link MAX_PROBLEMS} problems. */
  readonly problems: readonly DatasetProblem[];
  /** Number of all bad lines. */
  readonly total: number;

  constructor(problems: readonly DatasetProblem[], total: number) {
    const listed = problems.map(({ line, reason }) => (line > 0 ? `line ${line}: ${reason}` : reason)).join('; ');
    super(total > 1 ? `${total} bad lines; ${listed}` : listed);
    this.name = 'DatasetError';
    this.problems = problems;
    this.total = total;
  }
}

export interface ParseDatasetOptions {
  /** A longer line is reported as bad and never held in memory as a whole. Default 1 MiB. */
  readonly maxLineBytes?: number;
}

const MAX_PROBLEMS = 10;

/**
 * Parses JSONL while it arrives: one object on each line, `{prompt, completion}` or `{messages, tools?}`, with `split` and
 * `slices` where it names them; blank lines are skipped. Good
 * rows are yielded at once, so the caller must be able to discard them if an error follows.
 * @param chunks the file's bytes, cut at any position
 * @throws DatasetError after the last chunk, if any line was bad or there was no row
 */
export async function* parseDataset(
  chunks: AsyncIterable<Uint8Array>,
  options: ParseDatasetOptions = {},
): AsyncGenerator<DatasetRow, void, undefined> {
  const { maxLineBytes = 1 << 20 } = options;
  const problems: DatasetProblem[] = [];
  let bad = 0;
  let rows = 0;
  for await (const { number, bytes } of splitLines(chunks, maxLineBytes)) {
    const result = bytes ? parseLine(bytes, number) : `line is longer than ${maxLineBytes} bytes`;
    if (result === null) continue;
    if (typeof result !== 'string') {
      rows++;
      yield result;
    } else if (++bad <= MAX_PROBLEMS) problems.push({ line: number, reason: result });
  }
  if (bad > 0) throw new DatasetError(problems, bad);
  if (rows === 0) throw new DatasetError([{ line: 0, reason: 'dataset has no rows' }], 1);
}

interface Line {
  readonly number: number;
  /** The line without its line feed; null if it was longer than the limit. */
  readonly bytes: Uint8Array | null;
}

async function* splitLines(chunks: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Line> {
  let number = 1;
  let pieces: Uint8Array[] = [];
  let length = 0;
  const take = (piece: Uint8Array) => {
    length += piece.length;
    if (length <= maxBytes) pieces.push(piece);
    else pieces = [];
  };
  const finish = (): Line => {
    const line = { number: number++, bytes: length <= maxBytes ? Buffer.concat(pieces) : null };
    pieces = [];
    length = 0;
    return line;
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
      take(chunk.subarray(start, end));
      yield finish();
      start = end + 1;
    }
    // A copy, because the producer may reuse the chunk's memory.
    if (start < chunk.length) take(Uint8Array.from(chunk.subarray(start)));
  }
  if (length > 0) yield finish();
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Returns the row, null for a blank line, or a message that says what is wrong. */
function parseLine(bytes: Uint8Array, number: number): DatasetRow | null | string {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    return 'is not valid UTF-8';
  }
  if (number === 1 && text.startsWith('\uFEFF')) text = text.slice(1);
  if (text.trim() === '') return null;
  try {
    return checkRow(JSON.parse(text), number);
  } catch {
    // The parser's own message is dropped because it would quote the row.
    return 'is not valid JSON';
  }
}
