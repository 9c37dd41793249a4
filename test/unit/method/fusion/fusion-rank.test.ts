import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadAdapter } from '../../../../core/formats/peft/peft-adapter.ts';
import { saveAdapter } from '../../../../core/formats/peft/peft-adapter-writer.ts';
import type { Adapter } from '../../../../core/models/lora/adapter.ts';
import { loraSettings } from '../../../../core/models/lora/lora-config.ts';
import type { LadderContext } from '../../../../core/method/ladder/ladder-context.ts';
import type { LadderOptions } from '../../../../core/method/ladder/ladder-state.ts';
import { Fusion } from '../../../../core/method/fusion/fusion.ts';
import type { Matrix } from '../../../../core/linalg/matrix.ts';
import { runStrategy } from '../../../../core/method/ladder/strategies.ts';
import { loadGoldenCase } from '../../engine/support/golden.ts';
import { bestApproximation, denseTarget, evolutionOf, productOf, randomAdapter } from '../support/adapters.ts';
import { frobeniusNorm, maxDifference, randomMatrix } from '../support/matrices.ts';
import { ToyAdaptation } from '../support/toy-adaptation.ts';

const REVERT = { alpha: 1, beta: -1 };
const SHAPES = [
  { name: 'wide', outFeatures: 20, inFeatures: 48 },
  { name: 'tall', outFeatures: 40, inFeatures: 16 },
  { name: 'tiny', outFeatures: 5, inFeatures: 6 },
];
const deltas = new Map(
  SHAPES.map(({ name, outFeatures, inFeatures }, i) => [name, randomMatrix(outFeatures, inFeatures, i)]),
);
const evolution = evolutionOf(deltas);
const adapter = randomAdapter(SHAPES, 4, 8, 7);
const targets = (alpha: number, beta: number): [string, Matrix][] =>
  [...adapter.modules].map(([name, factors]) => [name, denseTarget(factors, deltas.get(name)!, alpha, beta)]);

describe('the rank of a fused adapter', () => {
  it.each([
    [7, 1, -1],
    [7, 0.4, 0.3],
    [12, 1, -1],
  ])('grown to %i is the best of that rank for alpha %f, beta %f', async (cap, alpha, beta) => {
    const fusion = await Fusion.prepare(adapter, evolution, { maxRank: cap });
    const { adapter: fused, truncationErrors } = await fusion.fuse({
      alpha,
      beta,
    });
    expect(fused.config).toEqual({ ...adapter.config, rank: cap, alpha: 2 * cap });
    for (const [name, target] of targets(alpha, beta)) {
      const factors = fused.modules.get(name)!;
      expect([factors.rank, factors.scaling]).toEqual([cap, 2]);
      expect(maxDifference(productOf(factors), bestApproximation(target, cap))).toBeLessThan(3e-5);
      const error = frobeniusNorm(target.data.map((value, i) => value - productOf(factors).data[i]!));
      expect(truncationErrors.get(name)).toBeCloseTo(error, 4);
    }
  });

  it('leaves nothing out where it may grow enough, and is no larger than it has to be', async () => {
    const fusion = await Fusion.prepare(adapter, evolution, { maxRank: 1000 });
    expect(fusion.config.rank).toBe(20);
    const { truncationErrors } = await fusion.fuse(REVERT);
    for (const error of truncationErrors.values()) expect(error).toBeLessThan(1e-5);
  });

  it('never shrinks: one below the old rank keeps the old configuration', async () => {
    const fused = await (await Fusion.prepare(adapter, evolution, { maxRank: 3 })).at(REVERT);
    expect(fused).toEqual(await (await Fusion.prepare(adapter, evolution)).at(REVERT));
    expect(fused.config).toBe(adapter.config);
  });

  it('gives what has no direction to show a row that can learn', async () => {
    const fusion = await Fusion.prepare(adapter, evolution, { maxRank: 9 });
    expect(await fusion.at({ alpha: 1, beta: 0 })).toBe(adapter);
    for (const [name, { a, b, inFeatures, ...shape }] of (await fusion.at({ alpha: 0.5, beta: 0 })).modules) {
      const expected = denseTarget(adapter.modules.get(name)!, deltas.get(name)!, 0.5, 0);
      expect(maxDifference(productOf({ ...shape, a, b, inFeatures }), expected)).toBeLessThan(1e-5);
      for (let k = 4; k < 9; k++) {
        expect(Array.from({ length: shape.outFeatures }, (_, i) => b[i * 9 + k])).toEqual(
          new Array(shape.outFeatures).fill(0),
        );
        const row = a.subarray(k * inFeatures, (k + 1) * inFeatures);
        expect(Math.max(...row.map(Math.abs))).toBeGreaterThan(0.2 / Math.sqrt(inFeatures));
        expect(Math.max(...row.map(Math.abs))).toBeLessThanOrEqual(1 / Math.sqrt(inFeatures) + 1e-6);
      }
    }
  });

  it.each([0, 2.5, NaN])('is not %f', async (maxRank) => {
    await expect(Fusion.prepare(adapter, evolution, { maxRank })).rejects.toThrow(`rank is ${maxRank}, expected`);
  });
});

describe('a strategy', () => {
  it('grows what it fuses, trains that, and leaves a copy as it is', async () => {
    const options: LadderOptions = {
      gate: { metric: 'loss', kind: 'absolute', target: -1 },
      old: null,
      steps: 3,
      evaluateEvery: 3,
      search: { evaluations: 3 },
      fusion: { maxRank: 4 },
    };
    const toy = new ToyAdaptation({ novelty: 0.5 });
    const judged: string[] = [];
    const context = toy.context();
    const gateMetric: LadderContext['gateMetric'] = async (adapter, look) => {
      const { rank } = adapter.modules.get('layer')!;
      judged.push(`rank ${rank}${rank === adapter.config.rank ? '' : ', and not as its configuration says'}`);
      return context.gateMetric(adapter, look);
    };
    const outcome = await runStrategy('auto', { ...context, gateMetric }, options);
    expect(outcome.candidates.map(({ id }) => id)).toEqual(['revert', 'fine_tune@3']);
    const { candidates } = await runStrategy('reuse', { ...context, gateMetric }, options);
    expect(candidates.map(({ id }) => id)).toEqual(['copy']);
    // The change is one direction beside the adapter's three.
    expect(judged).toEqual(['rank 4', 'rank 4', 'rank 3']);
  });
});

describe.each(['llama-gqa-tied', 'llama-qv-rslora', 'llama-patterns', 'llama-dora'])(
  'a grown adapter as PEFT files: %s',
  (name) => {
    let folder: string;
    beforeAll(async () => void (folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-rank-'))));
    afterAll(() => rm(folder, { recursive: true, force: true }));

    it('has the scalings of the old one and is read as it was', async () => {
      const { adapter: old, base } = await loadGoldenCase(name);
      const changes = [...old.modules].map(([module, { outFeatures, inFeatures }], i) => {
        return [module, randomMatrix(outFeatures, inFeatures, i)] as const;
      });
      const fusion = await Fusion.prepare(old, evolutionOf(new Map(changes)), { maxRank: 6 });
      const fused: Adapter = await fusion.at(REVERT);
      const settings = loraSettings(fused.config, [...fused.modules.keys()]);
      for (const [module, factors] of fused.modules) {
        const before = old.modules.get(module)!;
        expect(factors.rank).toBe(Math.max(6, before.rank));
        expect(factors.scaling).toBeCloseTo(before.scaling, 12);
        expect(settings.get(module)).toMatchObject({ rank: factors.rank, scaling: factors.scaling });
      }
      await saveAdapter(path.join(folder, 'adapter'), fused);
      expect(await loadAdapter(path.join(folder, 'adapter'), base.config)).toEqual(fused);
    });
  },
);
