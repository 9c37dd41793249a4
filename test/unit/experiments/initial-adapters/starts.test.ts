import { afterAll, describe, expect, it } from 'vitest';
import { exampleOf, type TokenizedExample } from '../../../../core/data/example.ts';
import { meanLoss } from '../../../../core/data/evaluation/measure.ts';
import { createRuntime } from '../../../../core/engine/create-runtime.ts';
import { plainProducts } from '../../../../core/linalg/products.ts';
import { REVERT } from '../../../../core/method/fusion/coefficients.ts';
import { STARTS } from '../../../../experiments/initial-adapters/starts.ts';
import { Workshop } from '../../../../experiments/initial-adapters/workshop.ts';
import { randomAdapter, randomBase } from '../../engine/support/random-model.ts';
import { everyModule } from '../../engine/support/variations.ts';
import { evolutionOf, productOf } from '../../method/support/adapters.ts';
import { maxDifference, randomMatrix } from '../../method/support/matrices.ts';

const base = randomBase({ numLayers: 1 });
const old = randomAdapter(base, everyModule);
const deltas = [...old.modules].map(([name, { outFeatures, inFeatures }], i) => {
  const { data, ...shape } = randomMatrix(outFeatures, inFeatures, i);
  return [name, { ...shape, data: data.map((value) => 0.1 * value) }] as const;
});
const rows = (first: number): TokenizedExample[] =>
  [0, 1, 2, 3].map((i) => exampleOf([first, first + i, 7], [i + 1, 9], { prompt: '', completion: '' }));
const runtime = createRuntime({ device: 'cpu', base, threads: 1 });
const workshop = new Workshop({
  old,
  evolution: evolutionOf(new Map(deltas)),
  runtime,
  products: plainProducts,
  training: rows(10),
  search: rows(20).slice(0, 3),
  seed: 1,
  signal: new AbortController().signal,
});
afterAll(() => runtime.dispose());

describe('the ways to make an initial adapter', () => {
  it.each(Object.keys(STARTS))('gives an adapter that can be measured: %s', async (name) => {
    const { value: adapter, cost } = await STARTS[name]!(workshop);
    expect([...adapter.modules.keys()]).toEqual([...old.modules.keys()]);
    for (const { rank } of adapter.modules.values())
      if (name.includes('not truncated')) expect(rank).toBeGreaterThan(3);
      else expect(rank).toBe(3);
    const { value } = await meanLoss(runtime, adapter, rows(30));
    expect(value).toBeGreaterThan(0);
    const moments = /diagonal|covariance/.test(name) ? 4 : 0;
    if (name.startsWith('search')) expect(cost.forward).toBeGreaterThan(moments);
    else expect(cost.forward).toBe(moments);
    expect(cost.backward).toBe(name.startsWith('masked') ? 4 * 3 : name.startsWith('directions') ? 3 : 0);
  });

  it('counts what was made before for each that needs it', async () => {
    const [first, second] = [await STARTS['masked copy']!(workshop), await STARTS['masked revert']!(workshop)];
    expect(first.cost.backward).toBe(second.cost.backward);
    expect(first.value).not.toEqual(second.value);
  });

  it('truncates as a fusion does where nothing is weighted', async () => {
    const known = { value: REVERT, cost: { ms: 0, forward: 0, backward: 0 } };
    const truncated = await workshop.truncated(await workshop.whole(known));
    const fused = await STARTS['revert']!(workshop);
    for (const [name, factors] of truncated.value.modules)
      expect(maxDifference(productOf(factors), productOf(fused.value.modules.get(name)!)), name).toBeLessThan(1e-4);
  });
});
