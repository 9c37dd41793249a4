import { isObject, type JsonObject } from '../../../formats/json.ts';
import type { TokenizerFiles } from '../../../formats/tokenizer/tokenizer-files.ts';
import type { Difference } from './compatibility.ts';

/**
 * Differences between the tokenizers of two base model versions. A different layout of the same content in their files
 * does not count.
 */
export interface TokenizerChanges {
  /** Changes of the vocabulary that the tokenizer's model lists, without special tokens and other added ones. */
  readonly vocabulary: VocabularyChanges;
  /**
   * Tokens that were added to the vocabulary, such as special ones, and that are new, gone, or changed in id or flags.
   */
  readonly addedTokens: readonly Difference[];
  /** Numbers of changed merges of byte-pair encoding or, for a unigram model, of changed pieces with their scores. */
  readonly merges: { readonly added: number; readonly removed: number; readonly reordered: boolean };
  /** Changed parts of tokenizer.json that decide how a text becomes tokens: `normalizer`, `model.byte_fallback`, … */
  readonly encoding: readonly Difference[];
  /** Changed parts of tokenizer.json that decide how tokens become text. */
  readonly decoding: readonly Difference[];
  /** Changed roles of tokens in tokenizer_config.json: `bos_token`, `eos_token`, … */
  readonly roles: readonly Difference[];
  readonly chatTemplate: 'same' | 'added' | 'removed' | 'changed';
}

interface VocabularyChanges {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** Tokens whose id differs between the versions. */
  readonly moved: readonly string[];
}

const ENCODING_PARTS = ['normalizer', 'pre_tokenizer', 'post_processor'] as const;
const ROLES = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token'] as const;

/**
 * Compares the tokenizers of two versions.
 * @param from tokenizer files of the old version; null if it has no tokenizer.json, which then differs in everything
 * @param to tokenizer files of the new version, or null
 */
export function compareTokenizers(from: TokenizerFiles | null, to: TokenizerFiles | null): TokenizerChanges {
  const [old, next] = [read(from), read(to)];
  const isAdded = (token: string) => old.addedTokens.has(token) || next.addedTokens.has(token);
  return {
    vocabulary: compareVocabularies(old.vocabulary, next.vocabulary, isAdded),
    addedTokens: compareFields(old.addedTokens, next.addedTokens),
    merges: compareMerges(old.merges, next.merges),
    encoding: compareFields(old.encoding, next.encoding),
    decoding: compareFields(old.decoding, next.decoding),
    roles: compareFields(old.roles, next.roles),
    chatTemplate: compareTemplates(from?.chatTemplate ?? null, to?.chatTemplate ?? null),
  };
}

/**
 * Returns the changes that make adapters unusable, because the same text becomes other tokens than in training. Added
 * tokens and their flags do not count: reserved tokens are renamed when they come into use, and tenants' texts hardly
 * contain them. Roles, chat template and decoding do not count either.
 */
export function breakingTokenizerChanges({ vocabulary, merges, encoding }: TokenizerChanges): Difference[] {
  const breaking: Difference[] = [];
  const { removed, moved } = vocabulary;
  if (removed.length > 0) breaking.push({ field: 'tokenizer.vocabulary', old: some(removed), new: null });
  if (moved.length > 0) breaking.push({ field: 'tokenizer.ids', old: some(moved), new: 'under other ids' });
  if (merges.reordered) breaking.push({ field: 'tokenizer.merges', old: 'one order', new: 'another order' });
  if (merges.added + merges.removed > 0) {
    breaking.push({ field: 'tokenizer.merges', old: { removed: merges.removed }, new: { added: merges.added } });
  }
  return [...breaking, ...encoding.map((difference) => ({ ...difference, field: `tokenizer.${difference.field}` }))];
}

/** Returns the number of tokens and the first five of them, for a message. */
function some(tokens: readonly string[]): object {
  return { count: tokens.length, first: tokens.slice(0, 5) };
}

type Fields = ReadonlyMap<string, unknown>;

interface ReadTokenizer {
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly addedTokens: Fields;
  readonly merges: readonly string[];
  readonly encoding: Fields;
  readonly decoding: Fields;
  readonly roles: Fields;
}

function read(files: TokenizerFiles | null): ReadTokenizer {
  const json = asObject(files?.tokenizer);
  const { vocab, merges, ...settings } = asObject(json['model']);
  const config = asObject(files?.config);
  return {
    vocabulary: readVocabulary(vocab),
    addedTokens: new Map(asArray(json['added_tokens']).map((token) => addedToken(asObject(token)))),
    merges: readMerges(merges, vocab),
    encoding: fieldsOf([...ENCODING_PARTS.map((part) => [part, json[part]] as const), ...prefixed('model.', settings)]),
    decoding: fieldsOf([['decoder', json['decoder']]]),
    roles: fieldsOf(ROLES.map((role) => [role, tokenText(config[role])])),
  };
}

/**
 * Reads the vocabulary of a tokenizer as a map from tokens to ids. BPE and WordPiece list it as such a map, unigram
 * models as pieces in the order of their ids.
 */
function readVocabulary(vocab: unknown): Map<string, number> {
  if (Array.isArray(vocab)) return new Map(vocab.map((piece, id) => [String(asArray(piece)[0]), id]));
  return new Map(Object.entries(asObject(vocab)) as [string, number][]);
}

/**
 * Returns the merges of a tokenizer, each as "a b". Older versions of the tokenizers library write a merge as "a b",
 * newer ones as ["a", "b"]. For a unigram model, returns its pieces with their scores instead.
 */
function readMerges(merges: unknown, vocab: unknown): string[] {
  if (Array.isArray(vocab)) return vocab.map((piece) => JSON.stringify(piece));
  return asArray(merges).map((merge) => (Array.isArray(merge) ? merge.join(' ') : String(merge)));
}

function addedToken({ content, ...settings }: JsonObject): [string, unknown] {
  return [String(content), canonical(settings)];
}

/** Returns the text of a token, which files give as a string or as an object that describes the token. */
function tokenText(value: unknown): unknown {
  return asObject(value)['content'] ?? value;
}

function prefixed(prefix: string, settings: JsonObject): [string, unknown][] {
  return Object.entries(settings).map(([key, value]) => [prefix + key, value]);
}

/**
 * Drops fields whose values are null, false or empty, because versions of the library differ in whether they write
 * them.
 */
function fieldsOf(entries: readonly (readonly [string, unknown])[]): Fields {
  return new Map(
    entries.map(([key, value]) => [key, canonical(value)] as const).filter(([, value]) => value !== undefined),
  );
}

/** Normalizes a JSON value so that equal settings compare equal: sorts keys, and removes values that mean "not set". */
function canonical(value: unknown): unknown {
  if (value === null || value === undefined || value === false || value === '') return undefined;
  if (Array.isArray(value)) return value.map((item) => canonical(item) ?? null);
  if (typeof value !== 'object') return value;
  const entries = Object.entries(value).map(([key, field]) => [key, canonical(field)] as const);
  return Object.fromEntries(entries.filter(([, field]) => field !== undefined).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function compareFields(old: Fields, next: Fields): Difference[] {
  const names = [...new Set([...old.keys(), ...next.keys()])];
  const pairs = names.map((field) => ({ field, old: old.get(field) ?? null, new: next.get(field) ?? null }));
  return pairs.filter((pair) => JSON.stringify(pair.old) !== JSON.stringify(pair.new));
}

/**
 * @param isAdded whether either version lists a token as added; such tokens are compared separately and skipped here
 */
function compareVocabularies(
  old: ReadonlyMap<string, number>,
  next: ReadonlyMap<string, number>,
  isAdded: (token: string) => boolean,
): VocabularyChanges {
  const tokens = [...old.keys()].filter((token) => !isAdded(token));
  return {
    added: [...next.keys()].filter((token) => !isAdded(token) && !old.has(token)),
    removed: tokens.filter((token) => !next.has(token)),
    moved: tokens.filter((token) => next.has(token) && next.get(token) !== old.get(token)),
  };
}

function compareMerges(old: readonly string[], next: readonly string[]): TokenizerChanges['merges'] {
  const [olds, news] = [new Set(old), new Set(next)];
  const added = next.filter((merge) => !olds.has(merge)).length;
  const removed = old.filter((merge) => !news.has(merge)).length;
  const reordered = added + removed === 0 && old.some((merge, i) => merge !== next[i]);
  return { added, removed, reordered };
}

function compareTemplates(old: string | null, next: string | null): TokenizerChanges['chatTemplate'] {
  if (old === next) return 'same';
  if (old === null) return 'added';
  return next === null ? 'removed' : 'changed';
}

function asObject(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
