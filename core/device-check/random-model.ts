import { expectedWeights } from '../models/architecture/architecture.ts';
import type { BaseModel } from '../models/base-model.ts';
import type { ModelConfig } from '../models/config/model-config.ts';
import type { Adapter } from '../models/lora/adapter.ts';
import { createAdapter } from '../models/lora/lora-init.ts';
import { Random } from '../statistics/random.ts';
import type { Batch } from '../engine/runtime.ts';

const TINY: ModelConfig = {
  modelType: 'llama',
  hiddenSize: 24,
  intermediateSize: 40,
  numLayers: 2,
  numHeads: 4,
  numKeyValueHeads: 2,
  headDim: 6,
  vocabSize: 50,
  maxPositionEmbeddings: 512,
  rmsNormEps: 1e-5,
  ropeTheta: 10_000,
  ropeScaling: null,
  biases: null,
  slidingWindows: null,
  tieWordEmbeddings: true,
  bosTokenId: 1,
  eosTokenIds: [2],
};

/** Returns the configuration of a tiny Llama, with the given changes. */
export function tinyConfig(changes: Partial<ModelConfig>): ModelConfig {
  return { ...TINY, ...changes };
}

/** Number of random values drawn for a model. Its weights repeat them, so that large models are made quickly. */
const DRAWN = 65_537;

/** Makes a base with random weights; equal configs give equal weights. */
export function randomBase(config: ModelConfig): BaseModel {
  const random = Random.fromSeed(1);
  const uniform = Float32Array.from({ length: DRAWN }, () => random.uniform());
  const weights = expectedWeights(config).map(({ name, shape }) => {
    const size = shape.reduce((product, dimension) => product * dimension, 1);
    const data = new Float32Array(size);
    const start = random.integer(DRAWN);
    const scale = 2 / Math.sqrt(shape.at(-1)!);
    const isNorm = name.includes('norm');
    for (let i = 0; i < size; i++) {
      const value = uniform[(start + i) % DRAWN]!;
      data[i] = isNorm ? 0.5 + value : (2 * value - 1) * scale;
    }
    return [name, { shape, data }] as const;
  });
  return { config, weights: new Map(weights), fingerprint: 'random' };
}

/** Makes an adapter on all linear layers. Its B is not zero, so that it changes the model's outputs. */
export function randomAdapter({ config, weights }: BaseModel, rank: number, useDora: boolean): Adapter {
  const shape = { rank, alpha: 2 * rank, targetModules: 'all-linear', useDora };
  const fresh = createAdapter({ base: config, weights, ...shape, seed: 2 });
  const random = Random.fromSeed(3);
  const modules = [...fresh.modules].map(([name, factors]) => {
    const b = factors.b.map(() => 0.3 * (random.uniform() - 0.5));
    const magnitude = factors.magnitude?.map((value) => value * (0.75 + 0.5 * random.uniform()));
    return [name, { ...factors, b, ...(magnitude && { magnitude }) }] as const;
  });
  return { ...fresh, modules: new Map(modules) };
}

/**
 * Makes a batch of random tokens with two labels at the end of each sequence.
 * @param alike number of leading tokens that are the same in all sequences
 */
export function randomBatch(vocabSize: number, lengths: readonly number[], alike = 0): Batch {
  const random = Random.fromSeed(4);
  const sequences = lengths.map((length) =>
    Array.from({ length }, (_, place) => (place < alike ? place % vocabSize : random.integer(vocabSize))),
  );
  let end = 0;
  const labelPositions = lengths.flatMap((length) => {
    end += length;
    return length > 1 ? [end - 2, end - 1] : [end - 1];
  });
  return {
    inputIds: Int32Array.from(sequences.flat()),
    sequenceLengths: Int32Array.from(lengths),
    labelPositions: Int32Array.from(labelPositions),
    labelIds: Int32Array.from(labelPositions, () => random.integer(vocabSize)),
  };
}
