/** Parameters of a PEFT LoRA adapter: the fields of `adapter_config.json` that change its outputs. */
export interface LoraConfig {
  readonly rank: number;
  readonly alpha: number;
  readonly useRslora: boolean;
  /** Whether every module has a magnitude vector in addition to its factors (DoRA). Default false. */
  readonly useDora?: boolean;
  /** Dropout rate of the inputs of A in training (`lora_dropout`), from 0 to below 1. Default 0. */
  readonly dropout?: number;
  /** Suffixes of module names, as PEFT stores `target_modules`. */
  readonly targetModules: readonly string[];
  readonly rankPattern: Readonly<Record<string, number>>;
  readonly alphaPattern: Readonly<Record<string, number>>;
}

/** Trainable arrays of one adapted linear layer, or arrays of the same shapes such as their gradients. */
export interface TrainableArrays {
  /** Factor A (`lora_A`), [rank, inFeatures], row-major. */
  readonly a: Float32Array;
  /** Factor B (`lora_B`), [outFeatures, rank], row-major. */
  readonly b: Float32Array;
  /** DoRA's magnitude of each output, [outFeatures]; absent without DoRA. */
  readonly magnitude?: Float32Array;
}

/**
 * Factors of one adapted linear layer: y = x W'ᵀ with W' = W + scaling · B A, and under DoRA with W' = magnitude · (W +
 * scaling · B A) / ‖W + scaling · B A‖, where the norm is that of each output's row.
 */
export interface LoraFactors extends TrainableArrays {
  readonly rank: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** Factor s of the update B A: alpha / rank, or alpha / √rank under rsLoRA. */
  readonly scaling: number;
}

/** A LoRA adapter: its configuration and, for each adapted module (`model.layers.0.mlp.up_proj`), its factors. */
export interface Adapter {
  readonly config: LoraConfig;
  /** Factors by module name, in the order of the base's modules (layer by layer, then q, k, v, o, gate, up, down). */
  readonly modules: ReadonlyMap<string, LoraFactors>;
}
