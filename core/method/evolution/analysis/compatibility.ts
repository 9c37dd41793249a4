import type { ModelConfig } from '../../../models/config/model-config.ts';

/** One field in which two base model versions differ. */
export interface Difference {
  /** A field of config.json, `biases`, or a part of the tokenizer such as `tokenizer.merges`. */
  readonly field: string;
  readonly old: unknown;
  readonly new: unknown;
}

/** Fields that determine the shape of adapter tensors or the meaning of token ids. They must not change. */
const BINDING_FIELDS = {
  modelType: 'model_type',
  hiddenSize: 'hidden_size',
  intermediateSize: 'intermediate_size',
  numLayers: 'num_hidden_layers',
  numHeads: 'num_attention_heads',
  numKeyValueHeads: 'num_key_value_heads',
  headDim: 'head_dim',
  vocabSize: 'vocab_size',
  biases: 'biases',
  tieWordEmbeddings: 'tie_word_embeddings',
} as const satisfies Partial<Record<keyof ModelConfig, string>>;

/**
 * Fields that do not concern adapters: the declared architecture, and the tokens at which sampling starts and stops.
 */
const UNCOMPARED = new Set<string>(['architecture', 'bosTokenId', 'eosTokenIds']);

/**
 * The differences that make a new version incompatible with adapters of the old one. An empty list means compatible.
 */
export function compareConfigs(from: ModelConfig, to: ModelConfig): Difference[] {
  return compareFields(from, to, Object.entries(BINDING_FIELDS));
}

/**
 * Changed settings that do not break adapters: rotary base and scaling, sliding windows, maximum length, norm epsilon.
 * Their effect on an adapter shows only in its metric, and no fusion can undo it.
 */
export function changedSettings(from: ModelConfig, to: ModelConfig): Difference[] {
  const keys = [...new Set([...Object.keys(from), ...Object.keys(to)])];
  const settings = keys.filter((key) => !(key in BINDING_FIELDS) && !UNCOMPARED.has(key));
  return compareFields(
    from,
    to,
    settings.map((key) => [key, snakeCase(key)]),
  );
}

function compareFields(
  from: ModelConfig,
  to: ModelConfig,
  fields: readonly (readonly [string, string])[],
): Difference[] {
  // A config that was stored before a field existed lacks it, which is equivalent to null.
  const valueOf = (config: ModelConfig, key: string): unknown => config[key as keyof ModelConfig] ?? null;
  const pairs = fields.map(([key, field]) => ({ field, old: valueOf(from, key), new: valueOf(to, key) }));
  return pairs.filter((pair) => JSON.stringify(pair.old) !== JSON.stringify(pair.new));
}

function snakeCase(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
