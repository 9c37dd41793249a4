import { compressedFormat, SIGNATURE_BYTES } from '../compressed-format.ts';
import { AnswerKinds } from './answer-kinds.ts';
import { checkRow, type DatasetRow } from './dataset-row.ts';
import { splitLines } from './split-lines.ts';

interface DatasetProblem {
  /** Number of the bad line, from 1; 0 for a problem of the whole dataset. */
  readonly line: number;
  readonly reason: string;
}

/** Thrown for a dataset with unusable lines. The message lists the first problems and never quotes a row's text. */
export class DatasetError extends Error {
  readonly code = 'invalid_dataset';
  /** Problems of the dataset, at most the first {@link MAX_PROBLEMS}. */
  readonly problems: readonly DatasetProblem[];
  /** Number of bad lines. It is at most {@link MAX_BAD_LINES}, because reading stops there. */
  readonly total: number;

  constructor(problems: readonly DatasetProblem[], total: number) {
    const listed = problems.map(({ line, reason }) => (line > 0 ? `line ${line}: ${reason}` : reason)).join('; ');
    const count = total >= MAX_BAD_LINES ? `${total} or more` : `${total}`;
    super(total > 1 ? `${count} bad lines; ${listed}` : listed);
    this.name = 'DatasetError';
    this.problems = problems;
    this.total = total;
  }
}

export interface ParseDatasetOptions {
  /**
   * Length limit of a line. A longer line is reported as bad and never held in memory as a whole.
   * Default {@link MAX_LINE_BYTES}.
   */
  readonly maxLineBytes?: number;
}

/** Default length limit of a dataset's line, without its line feed. */
export const MAX_LINE_BYTES = 1 << 20;
const MAX_PROBLEMS = 10;
/**
 * Number of bad lines after which reading stops. This bound and the following ones keep a malicious file from occupying
 * a process forever; real datasets stay far below them.
 */
const MAX_BAD_LINES = 100;
/** Number of blank lines that a dataset may have in addition to one for each row. */
const MAX_BLANK_LINES = 1000;
/** Largest nesting depth of objects and arrays in a row. Recursive code would run out of stack on deeper ones. */
const MAX_LEVELS = 64;
/**
 * Largest number of values in a row. Parsed values take far more time and memory than their bytes in the file. Commas
 * and opening brackets are counted, which gives slightly more than the number of values.
 */
const MAX_VALUES = 20_000;

/**
 * Parses JSONL from a stream: one object on each line, `{prompt, completion}` or `{messages, tools?}`, with optional
 * `split` and `slices`; blank lines are skipped. Either every row has an answer, or none has (prompts alone). Good rows
 * are yielded at once, so the caller must be able to discard them if an error follows. Reading stops at 100 bad lines,
 * at 100 rows of the rarer kind (with or without an answer), when there are over 1,000 more blank lines than other
 * lines, and within a line that is far too long.
 * @param chunks the file's bytes, cut at any position
 * @throws DatasetError after the last chunk that was read, if any line was bad or there was no row
 */
export async function* parseDataset(
  chunks: AsyncIterable<Uint8Array>,
  options: ParseDatasetOptions = {},
): AsyncGenerator<DatasetRow, void, undefined> {
  const { maxLineBytes = MAX_LINE_BYTES } = options;
  const problems: DatasetProblem[] = [];
  const kinds = new AnswerKinds(MAX_PROBLEMS);
  let bad = 0;
  let rows = 0;
  let blank = 0;
  for await (const { number, bytes } of splitLines(refuseCompressed(chunks), maxLineBytes)) {
    const result = bytes ? parseLine(bytes, number) : `line is longer than ${maxLineBytes} bytes`;
    if (result === null) {
      if (++blank > rows + bad + MAX_BLANK_LINES) throw tooManyBlankLines(number, blank);
    } else if (typeof result !== 'string') {
      rows++;
      kinds.add(result);
      if (kinds.rarerCount >= MAX_BAD_LINES) break;
      yield result;
    } else {
      if (++bad <= MAX_PROBLEMS) problems.push({ line: number, reason: result });
      if (bad === MAX_BAD_LINES) break;
    }
  }
  const mixed = kinds.problems();
  if (bad + mixed.count > 0) {
    const found = [...problems, ...mixed.problems].sort((a, b) => a.line - b.line);
    throw new DatasetError(found.slice(0, MAX_PROBLEMS), Math.min(MAX_BAD_LINES, bad + mixed.count));
  }
  if (rows === 0) throw new DatasetError([{ line: 0, reason: 'dataset has no rows' }], 1);
}

function tooManyBlankLines(line: number, count: number): DatasetError {
  const expected = `at most ${MAX_BLANK_LINES} blank lines more than rows`;
  const reason = `is blank, like ${count - 1} lines before it, expected ${expected}`;
  return new DatasetError([{ line, reason }], 1);
}

/** Passes bytes on, and throws if they begin with the magic number of a compressed file. */
async function* refuseCompressed(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let start = Buffer.alloc(0);
  for await (const chunk of chunks) {
    if (start.length < SIGNATURE_BYTES) {
      start = Buffer.concat([start, chunk.subarray(0, SIGNATURE_BYTES)]);
      const format = compressedFormat(start);
      const reason = `dataset is compressed with ${format}, expected uncompressed JSONL`;
      if (format !== null) throw new DatasetError([{ line: 0, reason }], 1);
    }
    yield chunk;
  }
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Parses one line of a dataset. Returns its row, null for a blank line, or a message that describes the error. */
function parseLine(bytes: Uint8Array, number: number): DatasetRow | null | string {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    return 'is not valid UTF-8';
  }
  if (number === 1 && text.startsWith('\uFEFF')) text = text.slice(1);
  if (text.trim() === '') return null;
  const excess = excessOf(bytes);
  if (excess !== null) return excess;
  try {
    return checkRow(JSON.parse(text), number);
  } catch {
    // The parser's own message is dropped because it would quote the row.
    return 'is not valid JSON';
  }
}

/**
 * Checks a row's nesting depth and number of values before it is parsed; the text need not be valid JSON. Returns a
 * message that describes the excess, or null.
 */
function excessOf(bytes: Uint8Array): string | null {
  let level = 0;
  let values = 0;
  let isText = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) isText = !isText;
    else if (isText) at += byte === BACKSLASH ? 1 : 0;
    else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      values++;
      if (++level > MAX_LEVELS) return `is nested deeper than ${MAX_LEVELS} levels`;
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) level--;
    else if (byte === COMMA && ++values > MAX_VALUES) break;
  }
  return values > MAX_VALUES ? `has more than ${MAX_VALUES} values` : null;
}
