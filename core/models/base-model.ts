import type { ModelConfig } from './config/model-config.ts';

/** A dense float32 tensor in row-major order. The holder of the object owns `data`; nobody writes to it. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A base model in memory: read once a process, shared by training, search and evaluation sessions. */
export interface BaseModel {
  readonly config: ModelConfig;
  /** Hugging Face names (`model.layers.0.self_attn.q_proj.weight`) to weights, linear layers as [out, in]. */
  readonly weights: ReadonlyMap<string, Tensor>;
  /** SHA-256 (hex) over the config and every tensor's name, shape and float32 bytes, in name order. */
  readonly fingerprint: string;
}
