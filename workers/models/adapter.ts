/** How one PEFT LoRA adapter is parameterised; the fields of `adapter_config.json` that change what is computed. */
export interface LoraConfig {
  readonly rank: number;
  readonly alpha: number;
  readonly useRslora: boolean;
  /** `target_modules` as PEFT stores it: suffixes of module names. */
  readonly targetModules: readonly string[];
  readonly rankPattern: Readonly<Record<string, number>>;
  readonly alphaPattern: Readonly<Record<string, number>>;
}

/** The two factors of one adapted linear layer: y = x Wᵀ + scaling · x Aᵀ Bᵀ. */
export interface LoraFactors {
  readonly rank: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** alpha / rank, or alpha / √rank under rsLoRA. */
  readonly scaling: number;
  /** lora_A, [rank, inFeatures], row-major. */
  readonly a: Float32Array;
  /** lora_B, [outFeatures, rank], row-major. */
  readonly b: Float32Array;
}

/** A LoRA adapter: its configuration and, for each adapted module (`model.layers.0.mlp.up_proj`), its factors. */
export interface Adapter {
  readonly config: LoraConfig;
  /** In the order of the base's modules (layer by layer, then q, k, v, o, gate, up, down). */
  readonly modules: ReadonlyMap<string, LoraFactors>;
}
