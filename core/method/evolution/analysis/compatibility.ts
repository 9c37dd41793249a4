import type { ModelConfig } from '../../../models/config/model-config.ts';

/** Field in which two base model versions differ, with both values. */
export interface Difference {
  /** Name of the field: a setting of config.json, `biases`, or a part of the tokenizer such as `tokenizer.merges`. */
  readonly field: string;
  readonly old: unknown;
  readonly new: unknown;
}

/**
 * Fields of a model's configuration that determine the shapes of an adapter's tensors or the meaning of token ids. A
 * new version in which one of them differs is incompatible.
 */
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
 * Fields of a model's configuration that do not concern adapters and are not compared: the declared architecture, and
 * the tokens at which sampling starts and stops.
 */
const UNCOMPARED = new Set<string>(['architecture', 'bosTokenId', 'eosTokenIds']);

/**
 * Returns the differences between two configurations that make adapters of the old version unusable on the new one; an
 * empty list if there are none.
 */
export function compareConfigs(from: ModelConfig, to: ModelConfig): Difference[] {
  return compareFields(from, to, Object.entries(BINDING_FIELDS));
}

/**
 * Returns the changed settings with which adapters still run: rotary base and scaling, sliding windows, maximum length,
 * norm epsilon. Their effect shows only in an adapter's metric, and no fusion can undo it.
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
