import type { ModelConfig } from './config/model-config.ts';

/** A dense float32 tensor in row-major order. The holder of the object owns `data`, which is never written to. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A base model in memory. A process reads it once and shares it between all of its computations. */
export interface BaseModel {
  readonly config: ModelConfig;
  /** Weights by Hugging Face name (`model.layers.0.self_attn.q_proj.weight`), linear layers as [out, in]. */
  readonly weights: ReadonlyMap<string, Tensor>;
  /**
   * Fingerprint of the base: SHA-256 (hex) over the config and every tensor's name, shape and float32 bytes, in name
   * order.
   */
  readonly fingerprint: string;
}

/** @throws Error if the base has no weight of that name */
export function weightOf({ weights }: Pick<BaseModel, 'weights'>, name: string): Tensor {
  const weight = weights.get(name);
  if (!weight) throw new Error(`the base model has no weight ${name}`);
  return weight;
}
