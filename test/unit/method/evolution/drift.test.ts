import { describe, expect, it } from 'vitest';
import { driftGrid } from '../../../../core/method/evolution/drift.ts';
import { driftOf } from '../../../../core/method/evolution/drift.ts';
import type { Evolution, ModuleEvolution } from '../../../../core/method/evolution/evolution.ts';
import { unadaptableParts } from '../../../../core/method/evolution/drift.ts';
import { evolutionOf } from '../support/adapters.ts';

const module = (delta: number, weight: number): ModuleEvolution => {
  const none = new Float32Array(0);
  return {
    outFeatures: 2,
    inFeatures: 2,
    rank: 0,
    u: none,
    s: none,
    v: none,
    rowSquares: none,
    ...driftOf(delta ** 2, weight ** 2),
  };
};
const evolution: Evolution = {
  ...evolutionOf(new Map()),
  modules: new Map([
    ['model.layers.0.self_attn.q_proj', module(3, 10)],
    ['model.layers.0.mlp.up_proj', module(1, 2)],
    ['model.layers.1.self_attn.q_proj', module(4, 20)],
  ]),
  unadaptable: new Map([
    ['model.embed_tokens.weight', driftOf(4, 100)],
    ['model.layers.0.input_layernorm.weight', driftOf(9, 100)],
    ['model.layers.0.self_attn.q_proj.bias', driftOf(1, 25)],
    ['model.norm.weight', driftOf(16, 125)],
  ]),
};

describe('driftGrid', () => {
  it('has a row a projection with a drift a layer, and that of all layers together', () => {
    expect(driftGrid(evolution)).toEqual([
      { projection: 'self_attn.q_proj', drifts: [0.3, 0.2], drift: 5 / Math.sqrt(500) },
      { projection: 'mlp.up_proj', drifts: [0.5, null], drift: 0.5 },
    ]);
  });
});

describe('unadaptableParts', () => {
  it('sums what no adapter carries by kind; a tied head is not there', () => {
    const parts = [...unadaptableParts(evolution)].map(([part, { drift }]) => [part, drift]);
    expect(parts).toEqual([
      ['embeddings', 0.2],
      ['norms', 5 / 15],
      ['biases', 0.2],
    ]);
  });
});
