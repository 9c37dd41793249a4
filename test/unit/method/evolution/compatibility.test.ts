import { describe, expect, it } from 'vitest';
import type { ModelConfig } from '../../../../core/models/config/model-config.ts';
import { changedSettings, compareConfigs } from '../../../../core/method/evolution/analysis/compatibility.ts';

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
const version = (changes: Partial<ModelConfig> = {}): ModelConfig => ({ ...config, ...changes });

describe('compareConfigs', () => {
  it('finds nothing between versions that adapters can move between', () => {
    expect(compareConfigs(version(), version())).toEqual([]);
    expect(compareConfigs(version(), version({ maxPositionEmbeddings: 4096, ropeTheta: 500000 }))).toEqual([]);
    expect(compareConfigs(version(), version({ slidingWindows: [8, 8] }))).toEqual([]);
    expect(compareConfigs(version({ biases: ['mlp.up_proj'] }), version({ biases: ['mlp.up_proj'] }))).toEqual([]);
    const { biases: _, ...older } = config;
    expect(compareConfigs(older as ModelConfig, version())).toEqual([]);
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
});

describe('changedSettings', () => {
  it('lists what adapters survive and no fusion undoes, and nothing else', () => {
    expect(changedSettings(version(), version({ hiddenSize: 128, eosTokenIds: [7] }))).toEqual([]);
    expect(changedSettings(version(), version({ ropeTheta: 500000, queryPreAttnScalar: 64 }))).toEqual([
      { field: 'rope_theta', old: 10000, new: 500000 },
      { field: 'query_pre_attn_scalar', old: null, new: 64 },
    ]);
  });
});
