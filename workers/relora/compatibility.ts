import { createHash } from 'node:crypto';
import type { ModelConfig } from '../models/model-config.ts';

/** One thing in which two base versions differ so that no adapter of the old one fits the new one. */
export interface Difference {
  /** Field as config.json names it, `biases`, or `tokenizer`. */
  readonly field: string;
  readonly old: unknown;
  readonly new: unknown;
}

/** What decides whether two base versions are compatible. */
export interface VersionFacts {
  readonly config: ModelConfig;
  /** {@link tokenizerHash} of its tokenizer.json; null where the version has none. */
  readonly tokenizerHash: string | null;
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

/**
 * The differences that make a new base version incompatible with adapters of the old one; none means compatible.
 * Settings that a version may change without breaking adapters (rotary base and scaling, sliding windows, maximum length,
 * norm epsilon) are not compared: what they do to an adapter shows in its metric.
 */
export function compareConfigs(from: VersionFacts, to: VersionFacts): Difference[] {
  const differences: Difference[] = [];
  for (const key of Object.keys(BINDING_FIELDS) as (keyof typeof BINDING_FIELDS)[]) {
    // A config that was stored before a field existed has none, which says the same as null.
    const [old, next] = [from.config[key] ?? null, to.config[key] ?? null];
    if (JSON.stringify(old) !== JSON.stringify(next)) differences.push({ field: BINDING_FIELDS[key], old, new: next });
  }
  if (from.tokenizerHash !== to.tokenizerHash) {
    differences.push({ field: 'tokenizer', old: from.tokenizerHash, new: to.tokenizerHash });
  }
  return differences;
}

/** SHA-256 (hex) of tokenizer.json's text. */
export function tokenizerHash(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}
