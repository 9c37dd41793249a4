import type { ModelConfig, SupportedModelType } from './model-config.ts';

export { parseModelConfig } from './parse-model-config.ts';

/** A tensor that a base model's files must hold, by its Hugging Face name. */
export interface WeightSpec {
  readonly name: string;
  readonly shape: readonly number[];
}

/** A linear layer that LoRA can adapt: y = x Wᵀ with W [outFeatures, inFeatures]. */
export interface AdaptableModule {
  /** `model.layers.0.self_attn.q_proj`: the weight's name without `.weight`. */
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/** The seven projections of a decoder layer, in the order in which adapters list them. */
export const PROJECTIONS = [
  'self_attn.q_proj',
  'self_attn.k_proj',
  'self_attn.v_proj',
  'self_attn.o_proj',
  'mlp.gate_proj',
  'mlp.up_proj',
  'mlp.down_proj',
] as const;

export type Projection = (typeof PROJECTIONS)[number];

/** One decoder with declared variations: what tells a supported `model_type` from the others. */
export interface Architecture {
  /** Names (within a layer) and shapes of its tensors beyond the projections' weights and the two norms. */
  readonly extraLayerWeights: (config: ModelConfig) => readonly WeightSpec[];
}

const ARCHITECTURES: Readonly<Record<SupportedModelType, Architecture>> = {
  llama: { extraLayerWeights: () => [] },
};

/** The declared variations of a parsed config's architecture. */
export function architectureOf(config: ModelConfig): Architecture {
  return ARCHITECTURES[config.modelType];
}

/** [outFeatures, inFeatures] of one projection. */
export function projectionShape(config: ModelConfig, projection: Projection): readonly [number, number] {
  const attention = config.numHeads * config.headDim;
  const keyValue = config.numKeyValueHeads * config.headDim;
  switch (projection) {
    case 'self_attn.q_proj':
      return [attention, config.hiddenSize];
    case 'self_attn.k_proj':
    case 'self_attn.v_proj':
      return [keyValue, config.hiddenSize];
    case 'self_attn.o_proj':
      return [config.hiddenSize, attention];
    case 'mlp.gate_proj':
    case 'mlp.up_proj':
      return [config.intermediateSize, config.hiddenSize];
    case 'mlp.down_proj':
      return [config.hiddenSize, config.intermediateSize];
  }
}

/** Every linear layer that an adapter may target, layer by layer, then q, k, v, o, gate, up, down. */
export function adaptableModules(config: ModelConfig): AdaptableModule[] {
  return layerIndices(config).flatMap((layer) =>
    PROJECTIONS.map((projection) => {
      const [outFeatures, inFeatures] = projectionShape(config, projection);
      return { name: `model.layers.${layer}.${projection}`, inFeatures, outFeatures };
    }),
  );
}

/** Every tensor that a base model of this config consists of; a tied head has no tensor of its own. */
export function expectedWeights(config: ModelConfig): WeightSpec[] {
  const hidden = config.hiddenSize;
  const specs: WeightSpec[] = [{ name: 'model.embed_tokens.weight', shape: [config.vocabSize, hidden] }];
  for (const layer of layerIndices(config)) specs.push(...layerWeights(config, layer));
  specs.push({ name: 'model.norm.weight', shape: [hidden] });
  if (!config.tieWordEmbeddings) specs.push({ name: 'lm_head.weight', shape: [config.vocabSize, hidden] });
  return specs;
}

function layerWeights(config: ModelConfig, layer: number): WeightSpec[] {
  const prefix = `model.layers.${layer}.`;
  return [
    { name: `${prefix}input_layernorm.weight`, shape: [config.hiddenSize] },
    { name: `${prefix}post_attention_layernorm.weight`, shape: [config.hiddenSize] },
    ...PROJECTIONS.map((name) => ({ name: `${prefix}${name}.weight`, shape: projectionShape(config, name) })),
    ...architectureOf(config)
      .extraLayerWeights(config)
      .map((spec) => ({ ...spec, name: prefix + spec.name })),
  ];
}

function layerIndices(config: ModelConfig): number[] {
  return Array.from({ length: config.numLayers }, (_, layer) => layer);
}
