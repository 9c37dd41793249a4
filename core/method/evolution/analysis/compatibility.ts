import type { ModelConfig } from '../../../models/config/model-config.ts';

/** One thing in which two base versions differ so that no adapter of the old one fits the new one. */
export interface Difference {
  /** Field as config.json names it, `biases`, or a part of the tokenizer (`tokenizer.merges`). */
  readonly field: string;
  readonly old: unknown;
  readonly new: unknown;
}

/** Everything that gives adapter tensors their shape or token ids their meaning. */
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

/** Of no meaning to adapters: what a declaration is called, and where sampling starts and stops. */
const UNCOMPARED = new Set<string>(['architecture', 'bosTokenId', 'eosTokenIds']);

/** The differences that make a new base version incompatible with adapters of the old one; none means compatible. */
export function compareConfigs(from: ModelConfig, to: ModelConfig): Difference[] {
  return compareFields(from, to, Object.entries(BINDING_FIELDS));
}

/**
 * Settings that a version may change without breaking adapters (rotary base and scaling, sliding windows, maximum length,
 * norm epsilon): what they do to an adapter shows in its metric only, and no fusion can undo it.
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
  // A config that was stored before a field existed has none, which says the same as null.
  const valueOf = (config: ModelConfig, key: string): unknown => config[key as keyof ModelConfig] ?? null;
  const pairs = fields.map(([key, field]) => ({ field, old: valueOf(from, key), new: valueOf(to, key) }));
  return pairs.filter((pair) => JSON.stringify(pair.old) !== JSON.stringify(pair.new));
}

function snakeCase(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
