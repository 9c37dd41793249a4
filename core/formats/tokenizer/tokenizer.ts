import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { FormatError } from '../errors.ts';
import { readJsonInFolder } from '../hugging-face/model-folder.ts';
import { spellOutSplits } from './tokenizer-splits.ts';

const TOKENIZER = 'tokenizer.json';

export interface EncodeOptions {
  /** Add what the tokenizer's own post-processor adds (a leading BOS, say). Default true. */
  readonly addSpecialTokens?: boolean;
}

export interface DecodeOptions {
  /** Leave out special tokens. Default false. */
  readonly skipSpecialTokens?: boolean;
}

/** A text that the vocabulary has no tokens for; never quotes it. */
export class UnknownTokenError extends RangeError {
  constructor(position: number) {
    super(`token ${position} of the text is not in the vocabulary, which has no unknown token`);
    this.name = 'UnknownTokenError';
  }
}

/** Text to token ids and back, as the reference tokenizers library does it for the same `tokenizer.json`. */
export interface Tokenizer {
  /** Highest id + 1; at most the model's vocabulary size. */
  readonly vocabSize: number;
  /** @throws UnknownTokenError where the vocabulary cannot spell the text */
  encode(text: string, options?: EncodeOptions): number[];
  /** Bytes that are no UTF-8 (ids cut inside a character) become U+FFFD. @throws RangeError for an unknown id */
  decode(ids: readonly number[], options?: DecodeOptions): string;
  /** Id of a token by its content, such as `<|endoftext|>`; undefined where there is none. */
  tokenId(token: string): number | undefined;
}

/**
 * Loads the `tokenizer.json` of a model folder.
 * @throws FormatError `missing_file`, `invalid_json` or `invalid_tokenizer`
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  return createTokenizer(await readJsonInFolder(folder, TOKENIZER));
}

/** {@link loadTokenizer} for JSON that is already parsed. */
export function createTokenizer(json: unknown): Tokenizer {
  const inner = construct(json);
  const vocabSize = Math.max(-1, ...maxIds(inner)) + 1;
  return {
    vocabSize,
    encode: (text, options = {}) => encode(inner, text, options.addSpecialTokens ?? true),
    decode: (ids, options = {}) => decode(inner, ids, options.skipSpecialTokens ?? false),
    tokenId: (token) => inner.token_to_id(token),
  };
}

/**
 * The package's second argument stands for tokenizer_config.json, whose text clean-up would make decoding lossy; what
 * encoding needs is all in tokenizer.json.
 */
function construct(json: unknown): HuggingFaceTokenizer {
  try {
    const { pre_tokenizer, ...rest } = json as { readonly pre_tokenizer?: unknown };
    return new HuggingFaceTokenizer({ ...rest, pre_tokenizer: spellOutSplits(pre_tokenizer) }, {});
  } catch (cause) {
    const message = `is not a tokenizer that can be used: ${(cause as Error).message}`;
    throw new FormatError({ code: 'invalid_tokenizer', file: TOKENIZER, message, cause });
  }
}

function maxIds(inner: HuggingFaceTokenizer): number[] {
  let max = -1;
  for (const id of inner.get_vocab().values()) max = Math.max(max, id);
  return [max, ...inner.get_added_tokens_decoder().keys()];
}

/** The package answers a token that is not in the vocabulary (no unknown token defined) with undefined. */
function encode(inner: HuggingFaceTokenizer, text: string, addSpecialTokens: boolean): number[] {
  const { ids } = inner.encode(text, { add_special_tokens: addSpecialTokens });
  const lost = (ids as (number | undefined)[]).findIndex((id) => !Number.isInteger(id));
  if (lost < 0) return ids;
  throw new UnknownTokenError(lost + 1);
}

/** The package refuses an empty list, and puts "undefined" for an id out of range. */
function decode(inner: HuggingFaceTokenizer, ids: readonly number[], skipSpecialTokens: boolean): string {
  if (ids.length === 0) return '';
  const lost = ids.find((id) => inner.id_to_token(id) === undefined);
  if (lost !== undefined) throw new RangeError(`token id ${lost} is not in the vocabulary`);
  return inner.decode([...ids], { skip_special_tokens: skipSpecialTokens, clean_up_tokenization_spaces: false });
}
