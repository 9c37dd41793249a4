import { isChat, type ChatContent } from '../formats/dataset/dataset-row.ts';
import type { Tokenizer } from '../formats/tokenizer/tokenizer.ts';
import type { ExampleRow, LabelSpan } from './example.ts';
import { boundaryIn, type TokenBoundary } from './token-boundary.ts';

/** Error in a row of a dataset, before its file and line are added. The message never quotes the row's text. */
export class RowFault extends Error {}

/** Settings by which the text of a row becomes tokens. */
export interface RowEncoding {
  readonly tokenizer: Tokenizer;
  /** Largest number of tokens that are kept of a row. */
  readonly maxLength: number;
  /** Id of the token that ends a text, which is learned after each completion; null if it is not learned. */
  readonly end: number | null;
  /** Ids of the special tokens that the tokenizer puts in front of a text. */
  readonly leading: readonly number[];
}

/** Tokens of a whole row up to its last label, not yet cut to the largest length. */
export interface EncodedRow {
  readonly ids: readonly number[];
  /**
   * Token ranges to learn. Ranges of turns that begin before the last `maxLength` tokens may be missing, since
   * truncation would remove them.
   */
  readonly spans: readonly LabelSpan[];
  /** Number of earlier turns of the assistant whose ranges are missing in `spans`. */
  readonly turnsBefore: number;
  /** Number of special tokens at the beginning, which truncation keeps. */
  readonly leading: number;
  /**
   * Tokens of the prompt when it is tokenized alone, as in `TokenizedExample`; absent if the whole row begins with
   * these tokens.
   */
  readonly promptAlone?: readonly number[];
}

/**
 * Largest product of a row's number of turns and number of characters. Finding where a turn begins and ends takes two
 * tokenizations of the text before it, so a malicious row beyond this limit could keep a worker busy for minutes.
 */
const MAX_TURN_CHARACTERS = 8_000_000;

/**
 * Tokenizes the whole text of a row at once, and finds the labels in it.
 * @throws RowFault if there is no chat template for a conversation, ChatRenderError, UnknownTokenError
 */
export function encodeRow(row: ExampleRow, encoding: RowEncoding): EncodedRow {
  return isChat(row) ? encodeChat(row, encoding) : encodePrompt(row.prompt, row.completion, encoding);
}

/** Tokenizes a row like {@link encodeRow}, but does not look for its labels, which would take most of the time. */
export function encodeVariant(row: ExampleRow, encoding: RowEncoding): Pick<EncodedRow, 'ids' | 'leading'> {
  if (isChat(row)) return encodeChat(row, { ...encoding, maxLength: 0 });
  const ids = withEndOfText(withLeading(row.prompt + row.completion, encoding), encoding);
  return { ids, leading: encoding.leading.length };
}

/**
 * Tokenizes a text, and puts the leading special tokens in front of it, unless it already begins with them, as a prompt
 * from a chat template begins with the BOS.
 */
function withLeading(text: string, { tokenizer, leading }: RowEncoding): readonly number[] {
  const ids = tokenizer.encode(text, { addSpecialTokens: false });
  return leading.every((id, i) => ids[i] === id) ? ids : [...leading, ...ids];
}

function withEndOfText(ids: readonly number[], { end }: RowEncoding): readonly number[] {
  return end === null || ids.at(-1) === end ? ids : [...ids, end];
}

function encodePrompt(prompt: string, completion: string, encoding: RowEncoding): EncodedRow {
  const { tokenizer, leading } = encoding;
  const whole = withLeading(prompt + completion, encoding);
  const alone = withLeading(prompt, encoding);
  const { index, straddles } = boundaryIn(whole, alone, tokenizer);
  const ids = withEndOfText(whole, encoding);
  // If the completion has no tokens, the end-of-text token is no label either.
  const spans: LabelSpan[] = [[index, index === whole.length && whole !== ids ? index : ids.length]];
  const merged = straddles || index !== alone.length;
  return { ids, spans, turnsBefore: 0, leading: leading.length, ...(merged && { promptAlone: alone }) };
}

/** Tokenizes a conversation. The template writes all special tokens, so the tokenizer adds none. */
function encodeChat(chat: ChatContent, { tokenizer, end, maxLength, leading }: RowEncoding): EncodedRow {
  if (!tokenizer.chatTemplate) {
    throw new RowFault(
      'is a conversation (messages), but the base has no chat template: ' +
        'add one to its folder (chat_template.jinja), or give rows with prompt and completion',
    );
  }
  const { text, spans: turns } = tokenizer.chatTemplate.render(chat);
  if (turns.length * text.length > MAX_TURN_CHARACTERS) {
    throw new RowFault(
      `has ${turns.length} turns of the assistant in ${text.length} characters, more than are tokenized: split it`,
    );
  }
  const whole = tokenizer.encode(text, { addSpecialTokens: false });
  const boundary = (at: number): TokenBoundary =>
    at === text.length
      ? { index: whole.length, straddles: false }
      : boundaryIn(whole, tokenizer.encode(text.slice(0, at), { addSpecialTokens: false }), tokenizer);
  const spans: LabelSpan[] = [];
  let turnsBefore = turns.length;
  for (const [from, to] of turns.toReversed()) {
    const last = boundary(to);
    const span = turnLabels(whole, boundary(from).index, last.straddles ? last.index + 1 : last.index, tokenizer);
    if (span[1] > span[0]) spans.unshift(span);
    turnsBefore--;
    if (span[0] < whole.length - maxLength) break;
  }
  const kept = whole.slice(0, spans.at(-1)?.[1] ?? whole.length);
  const begins = leading.every((id, i) => kept[i] === id) ? leading.length : 0;
  return { ...withEnd(kept, spans, end, tokenizer), turnsBefore, leading: begins };
}

/**
 * Returns the token range of one turn that is learned: its words and the special token that ends the turn, even if the
 * template marks only the words. White space after that token is not learned.
 */
function turnLabels(ids: readonly number[], start: number, end: number, tokenizer: Tokenizer): LabelSpan {
  const next = ids[end];
  let last = end;
  while (last > start && isBlank(ids[last - 1]!, tokenizer)) last--;
  if (last > start && tokenizer.isSpecial(ids[last - 1]!)) return [start, last];
  return next !== undefined && tokenizer.isSpecial(next) ? [start, end + 1] : [start, end];
}

function isBlank(id: number, { bytesOf, isSpecial }: Tokenizer): boolean {
  return !isSpecial(id) && bytesOf(id).every((byte) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d));
}

/**
 * Adds the end-of-text token as a learned token, unless the template ends the conversation with a special token of its
 * own.
 */
function withEnd(ids: readonly number[], spans: readonly LabelSpan[], end: number | null, tokenizer: Tokenizer) {
  const last = ids.at(-1);
  const [start] = spans.at(-1) ?? [];
  if (end === null || last === undefined || start === undefined || tokenizer.isSpecial(last)) return { ids, spans };
  return { ids: [...ids, end], spans: [...spans.slice(0, -1), [start, ids.length + 1] as const] };
}
