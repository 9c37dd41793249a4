/** One row of a dataset. */
export interface DatasetRow {
  readonly prompt: string;
  readonly completion: string;
  readonly split?: DatasetSplit;
  /** Line of the file that it stands in, from 1. */
  readonly line: number;
}

export const DATASET_SPLITS = ['training', 'search', 'gate'] as const;

export type DatasetSplit = (typeof DATASET_SPLITS)[number];

/**
 * Other names of the splits that are read, but never written. They are the ones most datasets have, and the ones in the
 * datasets that version 0.1 stored: those files are addressed by their content, so they are never rewritten.
 */
const SPLIT_ALIASES: ReadonlyMap<unknown, DatasetSplit> = new Map<unknown, DatasetSplit>([
  ['train', 'training'],
  ['validation', 'search'],
  ['test', 'gate'],
  ...DATASET_SPLITS.map((name) => [name, name] as const),
]);

/** What is wrong with one line (counted from 1). */
export interface DatasetProblem {
  readonly line: number;
  readonly reason: string;
}

/** A dataset with lines that cannot be used: the first problems and how many there are. Never quotes a row's text. */
export class DatasetError extends Error {
  readonly code = 'invalid_dataset';
  readonly problems: readonly DatasetProblem[];
  /** Number of bad lines, of which `problems` lists the first. */
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
  /** A longer line is refused and not kept in memory. Default 1 MiB. */
  readonly maxLineBytes?: number;
  /** Default: no limit. */
  readonly maxRows?: number;
  /** How many problems the error lists. Default 10. */
  readonly maxProblems?: number;
}

/**
 * Parses JSONL as it arrives: one object `{prompt, completion, split?}` a line; blank lines are skipped. Good rows are
 * yielded as they come, so the caller keeps them provisional until the end.
 * @param chunks bytes, cut anywhere
 * @throws DatasetError after the last chunk where any line was bad or there was no row
 */
export async function* parseDataset(
  chunks: AsyncIterable<Uint8Array>,
  options: ParseDatasetOptions = {},
): AsyncGenerator<DatasetRow, void, undefined> {
  const { maxLineBytes = 1 << 20, maxRows = Infinity, maxProblems = 10 } = options;
  const problems: DatasetProblem[] = [];
  let bad = 0;
  let rows = 0;
  for await (const { number, bytes } of splitLines(chunks, maxLineBytes)) {
    const result = bytes ? parseLine(bytes, number) : `line is longer than ${maxLineBytes} bytes`;
    if (result === null) continue;
    const reason = typeof result !== 'string' && ++rows > maxRows ? `more than ${maxRows} rows` : result;
    if (typeof reason !== 'string') {
      yield reason;
      continue;
    }
    if (++bad <= maxProblems) problems.push({ line: number, reason });
    if (rows > maxRows) break;
  }
  if (bad > 0) throw new DatasetError(problems, bad);
  if (rows === 0) throw new DatasetError([{ line: 0, reason: 'dataset has no rows' }], 1);
}

interface Line {
  readonly number: number;
  /** Without its line feed; null where it was longer than the limit. */
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
    // Copied, since the producer may reuse the chunk's memory.
    if (start < chunk.length) take(Uint8Array.from(chunk.subarray(start)));
  }
  if (length > 0) yield finish();
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A row, null for a blank line, or what is wrong. */
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
    // The parser's own message would quote the row.
    return 'is not valid JSON';
  }
}

function checkRow(row: unknown, line: number): DatasetRow | string {
  if (typeof row !== 'object' || row === null || Array.isArray(row)) return `is ${kind(row)}, expected an object`;
  const { prompt, completion, split, ...others } = row as Record<string, unknown>;
  const unknown = Object.keys(others)[0];
  if (unknown !== undefined) return `has the unknown field ${JSON.stringify(unknown.slice(0, 40))}`;
  for (const [name, value] of Object.entries({ prompt, completion })) {
    if (value === undefined) return `${name} is missing`;
    if (typeof value !== 'string') return `${name} is ${kind(value)}, expected a string`;
    if (/\p{Surrogate}/u.test(value)) return `${name} holds half of a surrogate pair`;
  }
  if (completion === '') return 'completion is empty';
  if (split === undefined) return { prompt, completion, line } as DatasetRow;
  const named = SPLIT_ALIASES.get(split);
  if (named !== undefined) return { prompt, completion, split: named, line } as DatasetRow;
  return `split is ${typeof split === 'string' ? 'another word' : kind(split)}, expected ${DATASET_SPLITS.join(', ')}`;
}

function kind(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
