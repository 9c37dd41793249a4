import type { Batch } from '../../../../core/engine/runtime.ts';
import type { Adapter, LoraFactors } from '../../../../core/models/lora/adapter.ts';
import { adaptableModules, expectedWeights } from '../../../../core/models/architecture/architecture.ts';
import type { BaseModel } from '../../../../core/models/base-model.ts';
import type { ModelConfig } from '../../../../core/models/config/model-config.ts';
import { drawn, randomSource } from './numeric.ts';

const TINY: ModelConfig = {
  modelType: 'llama',
  hiddenSize: 24,
  intermediateSize: 40,
  numLayers: 2,
  numHeads: 4,
  numKeyValueHeads: 2,
  headDim: 6,
  vocabSize: 50,
  maxPositionEmbeddings: 64,
  rmsNormEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: null,
  biases: null,
  slidingWindows: null,
  tieWordEmbeddings: true,
  bosTokenId: 1,
  eosTokenIds: [2],
};

/** Makes a decoder with random weights; equal arguments give equal weights. */
export function randomBase(overrides: Partial<ModelConfig> = {}, seed = 1): BaseModel {
  const config = { ...TINY, ...overrides };
  const random = randomSource(seed);
  const weights = expectedWeights(config).map(({ name, shape }) => {
    const scale = 2 / Math.sqrt(shape.at(-1)!);
    const value = name.includes('norm') ? () => 0.5 + random() : () => (2 * random() - 1) * scale;
    const size = shape.reduce((product, dimension) => product * dimension, 1);
    return [name, { shape, data: drawn(size, value) }] as const;
  });
  return { config, weights: new Map(weights), fingerprint: `random-${seed}` };
}

/** Converts a LoRA adapter to DoRA, with magnitudes in [0.5, 1.5). */
export function asDora(adapter: Adapter, seed = 4): Adapter {
  const random = randomSource(seed);
  const modules = [...adapter.modules].map(([name, factors]) => {
    const magnitude = drawn(factors.outFeatures, () => 0.5 + random());
    return [name, { ...factors, magnitude }] as const;
  });
  return { config: { ...adapter.config, useDora: true }, modules: new Map(modules) };
}

/** Makes an adapter of the modules to which `rankOf` gives a rank. */
export function randomAdapter(
  base: Pick<BaseModel, 'config'>,
  rankOf: (module: string) => number | null,
  seed = 2,
): Adapter {
  const random = randomSource(seed);
  const array = (length: number) => drawn(length, () => 0.6 * (random() - 0.5));
  const modules = adaptableModules(base.config).flatMap(({ name, inFeatures, outFeatures }) => {
    const rank = rankOf(name);
    if (rank === null) return [];
    const factors: LoraFactors = {
      rank,
      inFeatures,
      outFeatures,
      scaling: 8 / rank,
      a: array(rank * inFeatures),
      b: array(outFeatures * rank),
    };
    return [[name, factors] as const];
  });
  const config = { rank: 4, alpha: 8, useRslora: false, targetModules: [], rankPattern: {}, alphaPattern: {} };
  return { config, modules: new Map(modules) };
}

/** Makes random tokens, with `labelsPerSequence` label positions at the end of each sequence, in reverse order. */
export function randomBatch(base: BaseModel, sequenceLengths: readonly number[], labelsPerSequence = 2): Batch {
  const random = randomSource(3);
  const token = () => Math.floor(random() * base.config.vocabSize);
  let end = 0;
  const positions = sequenceLengths.flatMap((length) => {
    end += length;
    return Array.from({ length: Math.min(length, labelsPerSequence) }, (_, back) => end - 1 - back);
  });
  return {
    inputIds: Int32Array.from({ length: end }, token),
    sequenceLengths: Int32Array.from(sequenceLengths),
    labelPositions: Int32Array.from(positions),
    labelIds: Int32Array.from(positions, token),
  };
}
