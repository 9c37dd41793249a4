import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { FormatError } from '../errors.ts';
import { readJsonInFolder } from '../folder-files.ts';
import { isObject } from '../json.ts';
import { createChatTemplate, type ChatTemplate, type SpecialTokenTexts } from './chat-template.ts';
import { tokenBytes } from './token-bytes.ts';
import { tokenDecoder } from './token-decoder.ts';
import { readTokenizerFiles, type TokenizerFiles } from './tokenizer-files.ts';
import { spellOutSplits } from './tokenizer-splits.ts';

const TOKENIZER = 'tokenizer.json';

interface EncodeOptions {
  /** Whether the tokenizer's post-processor adds its special tokens, such as a BOS at the beginning. Default true. */
  readonly addSpecialTokens?: boolean;
}

export interface DecodeOptions {
  /** Whether special tokens, such as a BOS or the end of a turn, are left out of the text. Default false. */
  readonly skipSpecialTokens?: boolean;
}

/** Thrown for a text that the vocabulary cannot spell. The message never quotes the text. */
export class UnknownTokenError extends RangeError {
  constructor(position: number) {
    super(`token ${position} of the text is not in the vocabulary, which has no unknown token`);
    this.name = 'UnknownTokenError';
  }
}

/** Converts text to token ids, like the reference tokenizers library with the same `tokenizer.json`. */
export interface Tokenizer {
  /** Highest token id + 1, which is at most the model's vocabulary size. */
  readonly vocabSize: number;
  /** Id of the end-of-text token that tokenizer_config.json names; null if it names none. */
  readonly eosTokenId: number | null;
  /** Chat template of the base; null if the base has none. */
  readonly chatTemplate: ChatTemplate | null;
  /**
   * Converts text to token ids.
   * @throws UnknownTokenError if the vocabulary cannot spell the text and has no unknown token
   */
  encode(text: string, options?: EncodeOptions): number[];
  /**
   * Converts tokens to text, like transformers for the BPE vocabularies of all supported families. An id outside the
   * vocabulary has no text.
   */
  decode(ids: readonly number[], options?: DecodeOptions): string;
  /** Returns the UTF-8 bytes of a token's text. A leading space may be one that the tokenizer has added. */
  bytesOf(id: number): Uint8Array;
  /** Whether a token was added to the vocabulary as a special one, such as the end of a turn. */
  isSpecial(id: number): boolean;
}

/**
 * Loads the tokenizer of a model folder: `tokenizer.json`, and the end-of-text token and chat template from
 * `tokenizer_config.json` and `chat_template.jinja`.
 * @throws FormatError `missing_file`, `invalid_json` or `invalid_tokenizer`
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  const files = await readTokenizerFiles(folder);
  return files ? createTokenizer(files.tokenizer, files) : createTokenizer(await readJsonInFolder(folder, TOKENIZER));
}

const NO_CONFIG = { config: null, chatTemplate: null };

/**
 * Makes a tokenizer from the parsed content of `tokenizer.json`.
 * @throws FormatError `invalid_tokenizer`
 */
export function createTokenizer(
  json: unknown,
  { config, chatTemplate }: Pick<TokenizerFiles, 'config' | 'chatTemplate'> = NO_CONFIG,
): Tokenizer {
  const inner = construct(json);
  const added = inner.get_added_tokens_decoder();
  const ids = [...inner.get_vocab().values(), ...added.keys()];
  const vocabSize = 1 + ids.reduce((most, id) => Math.max(most, id), -1);
  const specials = specialTokenTexts(config);
  const eos = specials['eos_token'];
  return {
    vocabSize,
    eosTokenId: (eos === undefined ? undefined : inner.token_to_id(eos)) ?? null,
    chatTemplate: chatTemplate === null ? null : createChatTemplate(chatTemplate, specials),
    encode: (text, { addSpecialTokens = true } = {}) => encode(inner, text, addSpecialTokens),
    decode: makeDecode(inner, json),
    bytesOf: tokenBytes(json, (id) => ({ text: inner.id_to_token(id) ?? '', added: added.has(id) })),
    isSpecial: (id) => added.get(id)?.special ?? false,
  };
}

/** Makes the decoder at the first call, since most uses never decode. */
function makeDecode(inner: HuggingFaceTokenizer, json: unknown): Tokenizer['decode'] {
  let decoder: ReturnType<typeof tokenDecoder> | undefined;
  const added = inner.get_added_tokens_decoder();
  return (ids, { skipSpecialTokens = false } = {}) => {
    decoder ??= constructDecoder(json);
    const kept = skipSpecialTokens ? ids.filter((id) => !added.get(id)?.special) : ids;
    const tokens = kept.map((id) => added.get(id)?.content ?? inner.id_to_token(id));
    return decoder(tokens.filter((token) => token !== undefined));
  };
}

function constructDecoder(json: unknown): ReturnType<typeof tokenDecoder> {
  try {
    return tokenDecoder((json as { readonly decoder?: unknown }).decoder);
  } catch (cause) {
    const message = `cannot turn tokens into text: ${(cause as Error).message}`;
    throw new FormatError({ code: 'invalid_tokenizer', file: TOKENIZER, message, cause });
  }
}

function construct(json: unknown): HuggingFaceTokenizer {
  try {
    const { pre_tokenizer, ...rest } = json as { readonly pre_tokenizer?: unknown };
    // The second argument stands for tokenizer_config.json, which does not affect encoding.
    return new HuggingFaceTokenizer({ ...rest, pre_tokenizer: spellOutSplits(pre_tokenizer) }, {});
  } catch (cause) {
    const message = `is not a usable tokenizer: ${(cause as Error).message}`;
    throw new FormatError({ code: 'invalid_tokenizer', file: TOKENIZER, message, cause });
  }
}

/**
 * Returns the texts of the special tokens in tokenizer_config.json, which gives a token as its text or as an object
 * that describes it.
 */
function specialTokenTexts(config: unknown): SpecialTokenTexts {
  if (!isObject(config)) return {};
  const texts = Object.entries(config)
    .filter(([name]) => name.endsWith('_token'))
    .map(([name, value]) => [name, isObject(value) ? value['content'] : value] as const);
  return Object.fromEntries(texts.filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

/** Encodes a text. The package returns undefined for a token outside the vocabulary if there is no unknown token. */
function encode(inner: HuggingFaceTokenizer, text: string, addSpecialTokens: boolean): number[] {
  const { ids } = inner.encode(text, { add_special_tokens: addSpecialTokens });
  const lost = (ids as (number | undefined)[]).findIndex((id) => !Number.isInteger(id));
  if (lost < 0) return ids;
  throw new UnknownTokenError(lost + 1);
}
