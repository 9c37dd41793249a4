import { expect, it } from 'vitest';
import type { LoadedBase } from '../../../../core/engine/base-cache.ts';
import { WarmBases } from '../../../experiments/measurement/warm-bases.ts';

it('takes a base that was loaded again for a cold one', () => {
  const [first, again] = [{}, {}] as LoadedBase[];
  const warm = new WarmBases();
  expect([warm.isCold(first!, 'passes'), warm.isCold(first!, 'passes')]).toEqual([true, false]);
  expect(warm.isCold(first!, 'gradients')).toBe(true);
  expect([warm.isCold(again!, 'passes'), warm.isCold(again!, 'passes')]).toEqual([true, false]);
});
