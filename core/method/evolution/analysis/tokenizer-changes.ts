import type { TokenizerFiles } from '../../../formats/tokenizer/tokenizer-files.ts';
import type { Difference } from './compatibility.ts';

/** What differs between the tokenizers of two base versions. How a file is laid out does not count. */
export interface TokenizerChanges {
  /** Of the model's vocabulary, special and other added tokens left out. */
  readonly vocabulary: VocabularyChanges;
  /** Added tokens (special ones among them) that came, went or have another id or other flags. */
  readonly addedTokens: readonly Difference[];
  /** Merges of byte-pair encoding, or scores of a unigram model. */
  readonly merges: { readonly added: number; readonly removed: number; readonly reordered: boolean };
  /** Parts of tokenizer.json that decide what tokens a text becomes: `normalizer`, `model.byte_fallback`, … */
  readonly encoding: readonly Difference[];
  /** The way back, from tokens to text. */
  readonly decoding: readonly Difference[];
  /** `bos_token`, `eos_token` and the like of tokenizer_config.json. */
  readonly roles: readonly Difference[];
  readonly chatTemplate: 'same' | 'added' | 'removed' | 'changed';
}

export interface VocabularyChanges {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** In both, under another id. */
  readonly moved: readonly string[];
}

const ENCODING_PARTS = ['normalizer', 'pre_tokenizer', 'post_processor'] as const;
const ROLES = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token'] as const;

/** @param from null where a version has no tokenizer.json, which then differs in everything */
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
 * The changes after which a text is other tokens, or a token another text: adapters learnt the old ones. Added tokens and
 * their flags are not among them (reserved ones are renamed in use, and a tenant's texts hardly hold them), nor are roles,
 * chat template and the way back.
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

/** A few of many, for a message. */
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

/** BPE and WordPiece list tokens with ids, unigram models in the order of ids. */
function readVocabulary(vocab: unknown): Map<string, number> {
  if (Array.isArray(vocab)) return new Map(vocab.map((piece, id) => [String(asArray(piece)[0]), id]));
  return new Map(Object.entries(asObject(vocab)) as [string, number][]);
}

/** Written as "a b" by older versions of the tokenizers library, as ["a", "b"] by newer ones. */
function readMerges(merges: unknown, vocab: unknown): string[] {
  if (Array.isArray(vocab)) return vocab.map((piece) => JSON.stringify(piece));
  return asArray(merges).map((merge) => (Array.isArray(merge) ? merge.join(' ') : String(merge)));
}

function addedToken({ content, ...settings }: Record<string, unknown>): [string, unknown] {
  return [String(content), canonical(settings)];
}

/** A token, or an object that describes one. */
function tokenText(value: unknown): unknown {
  return asObject(value)['content'] ?? value;
}

function prefixed(prefix: string, settings: Record<string, unknown>): [string, unknown][] {
  return Object.entries(settings).map(([key, value]) => [prefix + key, value]);
}

/** Without what is null, false or empty: versions of the library differ in whether they write these down. */
function fieldsOf(entries: readonly (readonly [string, unknown])[]): Fields {
  return new Map(
    entries.map(([key, value]) => [key, canonical(value)] as const).filter(([, value]) => value !== undefined),
  );
}

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

/** @param isAdded tokens that either version lists as added are compared as such, whatever the vocabulary says of them */
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

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
