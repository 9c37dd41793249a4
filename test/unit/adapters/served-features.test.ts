import { expect, test } from 'vitest';
import { carriedFeatures, keptFeatures } from '../../../src/fleet/adapters/served-features.ts';

const features = {
  largest: { module: 'layers.0.q_proj', rank: 16 },
  ...{ dora: true, rslora: false, patterned: null, modules: { v_proj: 'layers.0.v_proj', q_proj: 'layers.0.q_proj' } },
};
const published = { rank: 8, useDora: false, useRslora: false };

test('what was carried over has the modules of its source, and what its own config says', () => {
  const kept = keptFeatures(features);
  expect(kept).toEqual({ rank: 16, dora: true, rslora: false, patterned: false, modules: ['q_proj', 'v_proj'] });
  expect(carriedFeatures(kept, published)).toEqual({ ...kept, rank: 8, dora: false });
  // A module's own rank stays.
  const patterned = keptFeatures({ ...features, patterned: 'layers.0.q_proj' });
  expect(carriedFeatures(patterned, published)).toMatchObject({ rank: 16, patterned: true });
  expect(carriedFeatures(null, published)).toBeUndefined();
});
