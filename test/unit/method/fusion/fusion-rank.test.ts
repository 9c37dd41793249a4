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
import { commonRank } from '../../../../core/method/fusion/fusion-rank.ts';
import { Fusion } from '../../../../core/method/fusion/fusion.ts';
import { frobeniusNorm, type Matrix } from '../../../../core/linalg/matrix.ts';
import { svd } from '../../../../core/linalg/svd/svd.ts';
import { runStrategy } from '../../../../core/method/ladder/strategies.ts';
import { loadGoldenCase } from '../../engine/support/golden.ts';
import { bestApproximation, denseTarget, evolutionOf, productOf, randomAdapter } from '../support/adapters.ts';
import { maxDifference, randomMatrix } from '../support/matrices.ts';
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
    const fusion = await Fusion.prepare(adapter, evolution, { rank: { cap } });
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

  it('leaves nothing out where the cap allows it, and is no larger than it has to be', async () => {
    const fusion = await Fusion.prepare(adapter, evolution, { rank: { cap: 1000 } });
    expect(fusion.config.rank).toBe(20);
    const { truncationErrors } = await fusion.fuse(REVERT);
    for (const error of truncationErrors.values()) expect(error).toBeLessThan(1e-5);
  });

  it('by energy is the smallest that leaves no more out of the dense target than allowed', async () => {
    const energies = targets(1, -1).map(([, target]) => svd(target).s.map((value) => value * value));
    const sum = (from: number) =>
      energies.reduce((all, values) => all + values.slice(from).reduce((a, b) => a + b, 0), 0);
    for (const energy of [0.99, 0.995, 0.9995]) {
      const { rank } = (await Fusion.prepare(adapter, evolution, { rank: { cap: 30, energy } })).config;
      expect(rank).toBeGreaterThan(4);
      expect(sum(rank) / sum(0)).toBeLessThanOrEqual(1 - energy);
      expect(sum(rank - 1) / sum(0)).toBeGreaterThan(1 - energy);
    }
  });

  it('is the common one of spectra, worked by hand', () => {
    // Squares by place: 9 + 4, 1 + 1, 1 of 16.
    const spectra = [Float64Array.of(3, 1), Float64Array.of(2, 1, 1)];
    const at = (energy: number, cap = 9) => commonRank({ cap, energy }, spectra);
    expect([0.5, 13 / 16, 0.82, 15 / 16, 0.95, 1].map((energy) => at(energy))).toEqual([1, 1, 2, 2, 3, 3]);
    expect([at(1, 2), commonRank({ cap: 2 }, spectra), commonRank({ cap: 9 }, spectra)]).toEqual([2, 2, 3]);
  });

  it('never shrinks: a cap below the old rank keeps the old configuration', async () => {
    const fused = await (await Fusion.prepare(adapter, evolution, { rank: { cap: 3 } })).at(REVERT);
    expect(fused).toEqual(await (await Fusion.prepare(adapter, evolution)).at(REVERT));
    expect(fused.config).toBe(adapter.config);
  });

  it('gives what has no direction to show a row that can learn', async () => {
    const fusion = await Fusion.prepare(adapter, evolution, { rank: { cap: 9 } });
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

  it('refuses what is no rank and no share', async () => {
    for (const cap of [0, 2.5, NaN])
      await expect(Fusion.prepare(adapter, evolution, { rank: { cap } })).rejects.toThrow(`cap is ${cap}`);
    for (const energy of [0, 1.1, NaN]) {
      const fusion = Fusion.prepare(adapter, evolution, { rank: { cap: 8, energy } });
      await expect(fusion).rejects.toThrow(`energy is ${energy}`);
    }
  });
});

describe('a strategy', () => {
  it('grows what it fuses, trains that, and leaves a copy as it is', async () => {
    const options: LadderOptions = {
      gate: { metric: 'loss', kind: 'absolute', target: -1 },
      old: null,
      steps: 3,
      evaluateEvery: 3,
      search: { evaluations: 3, racing: false },
      fusion: { rank: { cap: 16, energy: 1 - 1e-9 } },
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
    expect(outcome.candidates.map(({ id }) => id)).toEqual(['copy', 'revert', 'fine_tune@3']);
    // The change is one direction beside the adapter's three.
    expect(judged).toEqual(['rank 3', 'rank 4', 'rank 4']);
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
      const fusion = await Fusion.prepare(old, evolutionOf(new Map(changes)), { rank: { cap: 6 } });
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
