import { describe, expect, it } from 'vitest';
import type { ModelConfig } from '../../../workers/models/model-config.ts';
import { compareConfigs, tokenizerHash, type VersionFacts } from '../../../workers/relora/compatibility.ts';

const config: ModelConfig = {
  modelType: 'llama',
  hiddenSize: 64,
  intermediateSize: 96,
  numLayers: 2,
  numHeads: 4,
  numKeyValueHeads: 2,
  headDim: 16,
  vocabSize: 320,
  maxPositionEmbeddings: 128,
  rmsNormEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: null,
  biases: null,
  slidingWindows: null,
  tieWordEmbeddings: true,
  bosTokenId: 1,
  eosTokenIds: [2],
};
const version = (changes: Partial<ModelConfig> = {}, tokenizer = '{}'): VersionFacts => ({
  config: { ...config, ...changes },
  tokenizerHash: tokenizerHash(tokenizer),
});

describe('compareConfigs', () => {
  it('finds nothing between versions that adapters can move between', () => {
    expect(compareConfigs(version(), version())).toEqual([]);
    expect(compareConfigs(version(), version({ maxPositionEmbeddings: 4096, ropeTheta: 500000 }))).toEqual([]);
    expect(compareConfigs(version(), version({ slidingWindows: [8, 8] }))).toEqual([]);
    expect(compareConfigs(version({ biases: ['mlp.up_proj'] }), version({ biases: ['mlp.up_proj'] }))).toEqual([]);
    const { biases: _, ...older } = config;
    expect(compareConfigs({ ...version(), config: older as ModelConfig }, version())).toEqual([]);
  });

  it('lists every difference that breaks adapters, old and new', () => {
    expect(compareConfigs(version(), version({ hiddenSize: 128, numLayers: 3, vocabSize: 400 }))).toEqual([
      { field: 'hidden_size', old: 64, new: 128 },
      { field: 'num_hidden_layers', old: 2, new: 3 },
      { field: 'vocab_size', old: 320, new: 400 },
    ]);
    expect(compareConfigs(version(), version({ biases: ['mlp.up_proj'] }))).toEqual([
      { field: 'biases', old: null, new: ['mlp.up_proj'] },
    ]);
  });

  it('sees another tokenizer, and one that went missing', () => {
    expect(compareConfigs(version(), version({}, '{"a":1}')).map(({ field }) => field)).toEqual(['tokenizer']);
    expect(compareConfigs(version(), { ...version(), tokenizerHash: null })[0]).toMatchObject({ field: 'tokenizer', new: null });
  });
});
