import path from 'node:path';
import { expect, test } from 'vitest';
import { readModelConfig } from '../../../core/formats/hugging-face/model-weights.ts';
import {
  readServedFeatures,
  servedFusionRank,
  servingRefusal,
  type ServedFeatures,
} from '../../../core/formats/peft/serving-rules.ts';
import type { ServingProfile } from '../../../core/options/serving-profile.ts';

const LORA: ServedFeatures = {
  largest: { module: 'model.layers.1.mlp.up_proj', rank: 16 },
  dora: false,
  rslora: false,
  patterned: null,
  modules: { q_proj: 'model.layers.0.self_attn.q_proj', up_proj: 'model.layers.1.mlp.up_proj' },
};
const { largest } = LORA;
const module = largest.module;

const REFUSED: [ServingProfile, Partial<ServedFeatures>, object][] = [
  [{ max_rank: 8 }, {}, { feature: 'max_rank', module, found: 16, allowed: 8 }],
  [{ dora: false }, { dora: true }, { feature: 'dora', module: null, found: 'DoRA' }],
  [{ rslora: false }, { rslora: true }, { feature: 'rslora', module: null, found: 'rsLoRA' }],
  [{ rank_patterns: false }, { patterned: module }, { feature: 'rank_patterns', module }],
  [{ modules: ['q_proj'] }, {}, { feature: 'modules', module, found: 'up_proj', allowed: ['q_proj'] }],
];

test.each(REFUSED)('%j refuses it, and says why', (profile, features, refusal) => {
  expect(servingRefusal(profile, { ...LORA, ...features })).toMatchObject({ ...refusal, message: expect.any(String) });
});

test.each<[ServingProfile | null, Partial<ServedFeatures>]>([
  [null, { dora: true, rslora: true, patterned: module }],
  [{}, { dora: true, rslora: true, patterned: module }],
  [{ max_rank: 16, dora: false, rslora: false, rank_patterns: false, modules: ['up_proj', 'q_proj'] }, {}],
])('%j accepts it', (profile, features) => {
  expect(servingRefusal(profile, { ...LORA, ...features })).toBeNull();
});

test.each([
  ['llama-dora', { dora: true }],
  ['llama-qv-rslora', { rslora: true, dora: false }],
  ['llama-patterns', { patterned: expect.stringMatching(/^model\.layers/) }],
])('what decides is read from the files of %s', async (name, features) => {
  const folder = path.join('test/fixtures/golden', name);
  const base = await readModelConfig(path.join(folder, 'base'));
  expect(await readServedFeatures(path.join(folder, 'adapter'), base)).toMatchObject(features);
});

test('a fused rank grows as far as both allow, and 0 keeps the old rank', () => {
  expect(servedFusionRank(32, { max_rank: 16 })).toBe(16);
  expect(servedFusionRank(8, { max_rank: 16 })).toBe(8);
  expect(servedFusionRank(0, { max_rank: 16 })).toBe(0);
  expect(servedFusionRank(32, {})).toBe(32);
  expect(servedFusionRank(32, null)).toBe(32);
});
