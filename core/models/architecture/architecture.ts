import type { Architecture, Architectures } from './architecture-declaration.ts';
import { ARCHITECTURES } from './architecture-table.ts';
import type { ModelConfig } from '../config/model-config.ts';
import type { Projection } from '../lora/projections.ts';

/** Name and shape of a tensor that a base model's files must hold; the name is that of Hugging Face. */
export interface WeightSpec {
  readonly name: string;
  readonly shape: readonly number[];
}

/** A linear layer that LoRA can adapt: y = x Wᵀ with W [outFeatures, inFeatures]. */
export interface AdaptableModule {
  /** Name of the layer's weight without `.weight`, such as `model.layers.0.self_attn.q_proj`. */
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/**
 * Returns the architecture declaration of a parsed config.
 * @throws Error if the config's model type is not declared
 */
export function architectureOf(config: ModelConfig): Architecture {
  const architecture = config.architecture ?? (ARCHITECTURES as Architectures)[config.modelType];
  if (architecture) return architecture;
  throw new Error(`no architecture is declared for model type "${config.modelType}"`);
}

/** Returns the shape of a projection's weight, [outFeatures, inFeatures]. */
function projectionShape(config: ModelConfig, projection: Projection): readonly [number, number] {
  const attention = config.numHeads * config.headDim;
  const keyValue = config.numKeyValueHeads * config.headDim;
  switch (projection) {
    case 'self_attn.q_proj':
      return [attention, config.hiddenSize];
    case 'self_attn.k_proj':
    case 'self_attn.v_proj':
      return [keyValue, config.hiddenSize];
    case 'self_attn.qkv_proj':
      return [attention + 2 * keyValue, config.hiddenSize];
    case 'self_attn.o_proj':
      return [config.hiddenSize, attention];
    case 'mlp.gate_proj':
    case 'mlp.up_proj':
      return [config.intermediateSize, config.hiddenSize];
    case 'mlp.gate_up_proj':
      return [2 * config.intermediateSize, config.hiddenSize];
    case 'mlp.down_proj':
      return [config.hiddenSize, config.intermediateSize];
  }
}

/** Lists every linear layer that an adapter may target, layer by layer and in the declared order. */
export function adaptableModules(config: ModelConfig): AdaptableModule[] {
  return layerIndices(config).flatMap((layer) =>
    architectureOf(config).projections.map((projection) => {
      const [outFeatures, inFeatures] = projectionShape(config, projection);
      return { name: `model.layers.${layer}.${projection}`, inFeatures, outFeatures };
    }),
  );
}

/** Lists every tensor of a base model with this config; a tied head has no tensor of its own. */
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
  const { projections } = architectureOf(config);
  return [
    ...layerNorms(config),
    ...projections.map((name) => ({ name: `${name}.weight`, shape: projectionShape(config, name) })),
    ...(config.biases ?? []).map((name) => ({ name: `${name}.bias`, shape: [projectionShape(config, name)[0]] })),
  ].map(({ name, shape }) => ({ name: prefix + name, shape }));
}

/** Lists the norms around the blocks and, if the architecture has them, those of queries and keys. */
function layerNorms(config: ModelConfig): WeightSpec[] {
  const { norms, queryKeyNorm } = architectureOf(config);
  const names = [norms.attention.input, norms.attention.output, norms.mlp.input, norms.mlp.output];
  const blocks = names.flatMap((name) =>
    name === null ? [] : [{ name: `${name}.weight`, shape: [config.hiddenSize] }],
  );
  if (queryKeyNorm === null) return blocks;
  const features = (heads: number) => (queryKeyNorm === 'head' ? config.headDim : heads * config.headDim);
  return [
    ...blocks,
    { name: 'self_attn.q_norm.weight', shape: [features(config.numHeads)] },
    { name: 'self_attn.k_norm.weight', shape: [features(config.numKeyValueHeads)] },
  ];
}

function layerIndices(config: ModelConfig): number[] {
  return Array.from({ length: config.numLayers }, (_, layer) => layer);
}
