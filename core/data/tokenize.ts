import { isChat } from '../formats/dataset/dataset-row.ts';
import { ChatRenderError } from '../formats/tokenizer/chat-template.ts';
import { UnknownTokenError, type Tokenizer } from '../formats/tokenizer/tokenizer.ts';
import type { ModelConfig } from '../models/config/model-config.ts';
import { encodeRow, encodeVariant, RowFault, type EncodedRow, type RowEncoding } from './encode-row.ts';
import { exampleOf, type ExampleRow, type TokenizedExample } from './example.ts';

export interface TokenizeOptions {
  readonly tokenizer: Tokenizer;
  readonly config: Pick<ModelConfig, 'maxPositionEmbeddings' | 'eosTokenIds'>;
  /** Largest number of tokens of a row, within the model's own maximum. Default: that maximum, but at most 2,048. */
  readonly maxLength?: number | null | undefined;
  /** Whether an end-of-text token is a label after each completion. Default: no. */
  readonly appendEos?: boolean | undefined;
}

const DEFAULT_MAX_LENGTH = 2048;

/** Thrown for a row that cannot be tokenized. The message names its file and line, and never quotes its text. */
export class TokenizeError extends Error {
  readonly code = 'invalid_dataset';
  readonly badInput = true;

  constructor(where: string, cause: Error) {
    super(`${where}: ${cause.message}`, { cause });
    this.name = 'TokenizeError';
  }
}

/** Returns the largest number of tokens of a row. */
export function lengthLimit({ config, maxLength }: Pick<TokenizeOptions, 'config' | 'maxLength'>): number {
  return Math.min(maxLength ?? DEFAULT_MAX_LENGTH, config.maxPositionEmbeddings);
}

/** Returns the end-of-text token of the tokenizer, or else of the model; null if neither names one. */
export function endOfText({ tokenizer, config }: Pick<TokenizeOptions, 'tokenizer' | 'config'>): number | null {
  return tokenizer.eosTokenId ?? config.eosTokenIds[0] ?? null;
}

/**
 * Tokenizes rows. The whole text of a row is tokenized at once, as transformers does, so that its tokens are those that
 * the model knows; the labels begin with the first token that has text of the completion. A row that is too long loses
 * its oldest tokens but keeps the special tokens in front, such as a BOS; the last completion stays whole.
 * @throws TokenizeError if a row has no token to predict or to predict from, if its completion leaves no room for a
 * prompt token, or if the base has no chat template that renders it
 */
export function tokenizeRows(rows: readonly ExampleRow[], options: TokenizeOptions): TokenizedExample[] {
  const encoding = rowEncoding(options);
  return rows.map((row, index) => atPlace(row, index, () => tokenizeRow(row, encoding)));
}

/** Tokens of a row with several alternative completions: the beginning that they share, and the rest of each. */
export interface TokenizedVariants {
  /** Token ids that all variants begin with; at least one. */
  readonly shared: readonly number[];
  /** Token ids of each variant after the shared ones; at least one for each. */
  readonly rests: readonly (readonly number[])[];
}

/**
 * Returns a function that tokenizes variants of a row, which differ only in their completions. If one variant is too
 * long, all lose the same number of tokens at the beginning. The function throws TokenizeError as {@link tokenizeRows}
 * does.
 * @throws NoEndOfTextError
 */
export function variantTokenizer(options: TokenizeOptions): (variants: readonly ExampleRow[]) => TokenizedVariants {
  const encoding = rowEncoding(options);
  return (variants) => tokenizeVariants(variants, encoding);
}

function tokenizeVariants(variants: readonly ExampleRow[], encoding: RowEncoding): TokenizedVariants {
  const all = variants.map((row, index) => atPlace(row, index, () => encodeVariant(row, encoding)));
  const longest = Math.max(...all.map(({ ids }) => ids.length));
  const cut = all.map((each) => cutFront({ ...each, spans: [] }, Math.max(0, longest - encoding.maxLength)).tokenIds);
  const length = sharedLength(cut);
  return { shared: cut[0]?.slice(0, length) ?? [], rests: cut.map((ids) => ids.slice(length)) };
}

/**
 * Prepares the settings by which all rows become tokens.
 * @throws NoEndOfTextError if `appendEos` is set and the base names no end-of-text token
 */
function rowEncoding(options: TokenizeOptions): RowEncoding {
  const { tokenizer, appendEos = false } = options;
  const end = appendEos ? endOfText(options) : null;
  if (appendEos && end === null) throw new NoEndOfTextError();
  return { tokenizer, maxLength: lengthLimit(options), end, leading: leadingSpecials(tokenizer) };
}

/** Thrown if `append_eos` is set and the base has no end-of-text token. */
export class NoEndOfTextError extends Error {
  readonly code = 'invalid_option';
  readonly badInput = true;

  constructor() {
    super(
      'append_eos is yes, but the base names no end of a text: neither `eos_token` in tokenizer_config.json nor ' +
        '`eos_token_id` in config.json; name it there, or set append_eos to no',
    );
    this.name = 'NoEndOfTextError';
  }
}

/** Special tokens that the tokenizer's post-processor puts in front of a text. */
function leadingSpecials(tokenizer: Tokenizer): readonly number[] {
  const text = 'a';
  const bare = tokenizer.encode(text, { addSpecialTokens: false });
  const full = tokenizer.encode(text, { addSpecialTokens: true });
  const start = full.findIndex((_, i) => bare.every((id, j) => full[i + j] === id));
  return start < 0 ? [] : full.slice(0, start);
}

/** Runs a function on a row, and adds the row's file and line to an error that it throws. */
function atPlace<Result>(row: ExampleRow, index: number, run: () => Result): Result {
  try {
    return run();
  } catch (cause) {
    if (cause instanceof RowFault || cause instanceof UnknownTokenError || cause instanceof ChatRenderError)
      throw new TokenizeError(rowPlace(row, index), cause);
    throw cause;
  }
}

/**
 * Returns the place of a row for messages: `train.jsonl: line 12`, or its position in the list if it was not read from
 * a file.
 */
export function rowPlace({ file, line }: ExampleRow, index: number): string {
  if (line === undefined) return `row ${index + 1}`;
  return file === undefined ? `line ${line}` : `${file}: line ${line}`;
}

function tokenizeRow(row: ExampleRow, encoding: RowEncoding): TokenizedExample {
  const { maxLength } = encoding;
  if (row.written) return exampleOf(row.written.promptIds, row.written.answerIds, row);
  const encoded = encodeRow(row, encoding);
  const [start, end] = encoded.spans.at(-1) ?? [0, 0];
  if (end - start === 0) throw new RowFault('completion has no tokens, expected at least one');
  if (end - start >= maxLength) {
    const noun = isChat(row) ? 'the last turn' : 'completion';
    throw new RowFault(
      `${noun} has ${end - start} tokens, expected at most ${maxLength - 1}, which leaves one for the prompt: ` +
        'shorten it, or raise max_length if the model allows more',
    );
  }
  if (start === 0) throw new RowFault('prompt has no tokens, expected at least one to predict the completion from');
  const excess = Math.max(0, encoded.ids.length - maxLength);
  const { tokenIds, labelSpans, turns } = cutFront(encoded, excess);
  const { promptAlone } = encoded;
  return {
    tokenIds,
    labelSpans,
    row,
    ...(excess > 0 && { cut: { tokens: excess, turns: turns + encoded.turnsBefore } }),
    ...(promptAlone && { promptAlone: cutFront({ ...encoded, ids: promptAlone, spans: [] }, excess).tokenIds }),
  };
}

/**
 * Removes `excess` tokens from the beginning of a row, but keeps as many of its leading special tokens as there is room
 * for.
 */
function cutFront({ ids, spans, leading }: Pick<EncodedRow, 'ids' | 'spans' | 'leading'>, excess: number) {
  if (excess === 0) return { tokenIds: ids, labelSpans: spans, turns: 0 };
  const first = spans.at(-1)?.[0] ?? ids.length;
  const kept = Math.min(leading, Math.max(0, first - excess - 1));
  const tokenIds = [...ids.slice(0, kept), ...ids.slice(kept + excess)];
  const moved = spans.map(([start, end]) => [start - excess, end - excess] as const);
  // A turn that has lost its beginning, or the whole message it answers, is not learned.
  const labelSpans = moved.filter(([start]) => start > kept);
  const turns = spans.length - labelSpans.length;
  return { tokenIds, labelSpans, turns };
}

/** Length of the longest common beginning that leaves at least one element of every list. */
function sharedLength([first = [], ...others]: readonly (readonly number[])[]): number {
  const longest = Math.min(first.length, ...others.map(({ length }) => length)) - 1;
  const end = first.findIndex((token, i) => i >= longest || others.some((other) => other[i] !== token));
  return Math.max(0, end);
}
