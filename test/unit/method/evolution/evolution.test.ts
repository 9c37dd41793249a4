import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withOnnxProducts } from '../../../../core/engine/compiled/onnx-products.ts';
import type { Tensor } from '../../../../core/models/base-model.ts';
import { withSafetensors } from '../../../../core/formats/safetensors/safetensors.ts';
import { writeSafetensors } from '../../../../core/formats/safetensors/safetensors-writer.ts';
import { loadBaseModel } from '../../../../core/formats/hugging-face/hugging-face-model.ts';
import {
  capturedEnergy,
  energyCurve,
  overallCapturedEnergy,
} from '../../../../core/method/evolution/captured-energy.ts';
import {
  computeEvolution,
  type Evolution,
  type ModuleEvolution,
  type WeightSource,
} from '../../../../core/method/evolution/evolution.ts';
import { loadEvolution, saveEvolution } from '../../../../core/method/evolution/evolution-file.ts';
import { matmulTransposed } from '../../../../core/linalg/matmul.ts';
import { matrix, scaleColumns } from '../../../../core/linalg/matrix.ts';
import { svd } from '../../../../core/linalg/svd/svd.ts';
import { goldenEvolution, type GoldenEvolution } from '../support/golden-evolution.ts';
import { frobeniusNorm } from '../support/matrices.ts';

let golden: GoldenEvolution;
let evolution: Evolution;
let folder: string;

beforeAll(async () => {
  golden = await goldenEvolution();
  evolution = await computeEvolution(golden.from, golden.to, { seed: 1 });
  folder = await mkdtemp(join(tmpdir(), 'readapt-evolution-'));
});
afterAll(async () => rm(folder, { recursive: true }));

async function difference(name: string): Promise<Float32Array> {
  const old = (await golden.from.readWeight(name)).data;
  return (await golden.to.readWeight(name)).data.map((value, i) => value - old[i]!);
}

function rebuildError({ outFeatures, inFeatures, rank, u, s, v }: ModuleEvolution, delta: Float32Array): number {
  const rebuilt = matmulTransposed(scaleColumns(matrix(outFeatures, rank, u), s), matrix(inFeatures, rank, v));
  return frobeniusNorm(rebuilt.data.map((value, i) => value - delta[i]!));
}

/** Compares every module with the dense SVD of its change. */
async function expectNearDense({ modules }: Evolution): Promise<void> {
  expect([...modules.keys()].sort()).toEqual([...golden.modules]);
  for (const [name, module] of modules) {
    const delta = await difference(`${name}.weight`);
    const exact = svd(matrix(module.outFeatures, module.inFeatures, delta)).s;
    const best = frobeniusNorm(exact.subarray(module.rank));
    expect(module.rank).toBe(Math.min(32, exact.length));
    expect(rebuildError(module, delta)).toBeLessThan(1.02 * best + 1e-6);
    expect(module.deltaNorm).toBeCloseTo(frobeniusNorm(delta), 5);
    expect(module.drift).toBeCloseTo(frobeniusNorm(delta) / module.weightNorm, 8);
    for (const rank of [1, golden.perturbationRank, module.rank]) {
      const expected = frobeniusNorm(exact.subarray(0, rank)) ** 2 / frobeniusNorm(exact) ** 2;
      expect(capturedEnergy(module, rank)).toBeCloseTo(expected, 3);
    }
  }
}

describe('computeEvolution by ONNX Runtime', () => {
  it('comes as near to the dense SVD, with equal bytes each time', async () => {
    const compute = () =>
      withOnnxProducts((products) => computeEvolution(golden.from, golden.to, { seed: 1, products }));
    const fast = await compute();
    await expectNearDense(fast);
    await saveEvolution(join(folder, 'fast'), fast);
    await saveEvolution(join(folder, 'again'), await compute());
    expect((await readFile(join(folder, 'again'))).equals(await readFile(join(folder, 'fast')))).toBe(true);
  });

  it('finds a change of low rank and nothing else, and nothing where nothing changed', async () => {
    const [name] = golden.modules;
    const { shape, data } = await golden.from.readWeight(`${name}.weight`);
    const [rows, cols] = shape as [number, number];
    // Exactly one direction in float32: a power of two in a few rows, and zeros in the others.
    const changed = data.map((value, i) => (i % cols === 5 && i < 3 * cols ? value + 2 : value));
    const readWeight: WeightSource['readWeight'] = async (wanted) =>
      wanted === `${name}.weight` ? { shape, data: changed } : golden.from.readWeight(wanted);
    await withOnnxProducts(async (products) => {
      const { modules } = await computeEvolution(golden.from, { ...golden.to, readWeight }, { products, rank: 8 });
      expect([...modules].filter(([, { rank }]) => rank > 0).map(([found]) => found)).toEqual([name]);
      const module = modules.get(name!)!;
      expect([module.rank, rows, cols]).toEqual([1, module.outFeatures, module.inFeatures]);
      expect(module.s[0]).toBeCloseTo(2 * Math.sqrt(3), 5);
      expect(module.v.findIndex((value) => Math.abs(value) > 0.999)).toBe(5);
    });
  });

  it('stops when asked', async () => {
    const controller = new AbortController();
    const onProgress = (done: number): void => void (done === 3 && controller.abort(new Error('cancelled')));
    const options = { signal: controller.signal, onProgress };
    const stopped = withOnnxProducts((products) => computeEvolution(golden.from, golden.to, { ...options, products }));
    await expect(stopped).rejects.toThrow('cancelled');
  });
});

describe('computeEvolution', () => {
  it.each([
    ['qwen2', 'model.layers.0.self_attn.q_proj.bias'],
    ['qwen3', 'model.layers.1.self_attn.k_norm.weight'],
  ])('reports what no adapter of %s can carry: %s', async (name, tensor) => {
    const { config, weights } = await loadBaseModel(
      new URL(`../../../fixtures/golden/${name}/base`, import.meta.url).pathname,
    );
    const source = (fingerprint: string, factor: number): WeightSource => ({
      config,
      fingerprint,
      readWeight: async (wanted) => {
        const { shape, data } = weights.get(wanted)!;
        return { shape, data: wanted === tensor ? data.map((value) => factor * value) : data };
      },
    });
    const { modules, unadaptable, adaptable } = await computeEvolution(source('old', 1), source('new', 1.5));
    expect(modules.size).toBe(14);
    expect(adaptable.deltaNorm).toBe(0);
    expect(unadaptable.get(tensor)!.drift).toBeCloseTo(0.5, 6);
    expect(
      [...modules.keys()]
        .map((module) => `${module}.weight`)
        .concat([...unadaptable.keys()])
        .sort(),
    ).toEqual([...weights.keys()].sort());
  });

  it('rebuilds W_new − W_old of every module, with drift and energy', async () => {
    await expectNearDense(evolution);
    expect(overallCapturedEnergy(evolution, golden.perturbationRank)).toBeGreaterThan(0.95);
    expect(overallCapturedEnergy(evolution, 1)).toBeLessThan(0.9);
    const curve = energyCurve(evolution);
    expect(curve.map(({ rank }) => rank)).toEqual([1, 2, 4, 8, 16, 32]);
    expect(curve.map(({ share }) => share)).toEqual(curve.map(({ rank }) => overallCapturedEnergy(evolution, rank)));
    expect(energyCurve({ ...evolution, rank: 6 }).map(({ rank }) => rank)).toEqual([1, 2, 4, 6]);
  });

  it('leaves nothing out where the rank is large enough', async () => {
    const whole = await computeEvolution(golden.from, golden.to, { rank: 64 });
    for (const [name, module] of whole.modules) {
      const delta = await difference(`${name}.weight`);
      expect(rebuildError(module, delta)).toBeLessThan(1e-6 * frobeniusNorm(delta));
      expect(capturedEnergy(module)).toBeCloseTo(1, 6);
    }
  });

  it('reports what no adapter can carry, and the whole', () => {
    expect([...evolution.unadaptable.keys()]).toContain('model.embed_tokens.weight');
    expect([...evolution.unadaptable.keys()]).toContain('model.norm.weight');
    const parts = [...evolution.modules.values(), ...evolution.unadaptable.values()];
    expect(evolution.overall.deltaNorm).toBeCloseTo(Math.hypot(...parts.map(({ deltaNorm }) => deltaNorm)), 8);
    expect(evolution.overall.drift).toBeLessThan(evolution.adaptable.drift);
  });

  it('is nothing between a version and itself', async () => {
    const none = await computeEvolution(golden.from, golden.from);
    expect(none.overall.drift).toBe(0);
    expect([...none.modules.values()].every(({ rank, s }) => rank === 0 && s.length === 0)).toBe(true);
    const path = join(folder, 'none.safetensors');
    await saveEvolution(path, none);
    expect(await loadEvolution(path)).toEqual(none);
  });

  it('refuses a tensor whose shape changed, naming it', async () => {
    const name = 'model.layers.1.mlp.up_proj.weight';
    const readWeight: WeightSource['readWeight'] = async (wanted) => {
      const tensor = await golden.to.readWeight(wanted);
      return wanted === name ? { ...tensor, shape: [64, 96] } : tensor;
    };
    const broken = computeEvolution(golden.from, { ...golden.to, readWeight });
    await expect(broken).rejects.toThrow(`tensor ${name} has shape [64, 96] in the new version, expected [96, 64]`);
  });

  it('tells its progress and stops when asked', async () => {
    const controller = new AbortController();
    const progress: number[] = [];
    const stopped = computeEvolution(golden.from, golden.to, {
      signal: controller.signal,
      onProgress: (done) => {
        progress.push(done);
        if (done === 3) controller.abort(new Error('cancelled'));
      },
    });
    await expect(stopped).rejects.toThrow('cancelled');
    expect(progress).toEqual([1, 2, 3]);
  });
});

describe('computeEvolution on weights in memory', () => {
  it('lets a cancellation through that arrives from outside', async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('cancelled')), 0);
    const slow: WeightSource['readWeight'] = async (name) => {
      const until = performance.now() + 2;
      while (performance.now() < until);
      return golden.to.readWeight(name);
    };
    const running = computeEvolution(golden.from, { ...golden.to, readWeight: slow }, { signal: controller.signal });
    await expect(running).rejects.toThrow('cancelled');
  });
});

describe('evolution file', () => {
  it('comes back as it was saved, and equal evolutions give equal bytes', async () => {
    const path = join(folder, 'evolution.safetensors');
    await saveEvolution(path, evolution);
    expect(await loadEvolution(path)).toEqual(evolution);
    await saveEvolution(`${path}2`, await computeEvolution(golden.from, golden.to, { seed: 1 }));
    expect((await readFile(`${path}2`)).equals(await readFile(path))).toBe(true);
  });

  it('refuses a file of something else', async () => {
    await writeFile(join(folder, 'other.safetensors'), 'no');
    await expect(loadEvolution(join(folder, 'other.safetensors'))).rejects.toThrow('other.safetensors');
    const adapter = new URL(
      '../../../fixtures/golden/llama-evolution/adapter/adapter_model.safetensors',
      import.meta.url,
    );
    await expect(loadEvolution(adapter.pathname)).rejects.toMatchObject({ code: 'invalid_evolution' });
  });

  it.each<[string, (tensors: Map<string, Tensor>) => unknown, string]>([
    ['a tensor missing', (tensors) => tensors.delete('model.layers.0.mlp.up_proj.s'), 'up_proj.s is missing'],
    [
      'a tensor too many',
      (tensors) => tensors.set('x.u', { shape: [0], data: new Float32Array(0) }),
      'x.u belongs to no',
    ],
    [
      'another shape',
      (tensors) => tensors.set('model.layers.0.mlp.up_proj.s', { shape: [1], data: new Float32Array(1) }),
      'up_proj.s has shape [1], expected [32]',
    ],
    ['another value', (tensors) => void (tensors.get('model.layers.0.mlp.up_proj.s')!.data[0]! += 1), 'the checksum'],
  ])('refuses %s', async (_, change, message) => {
    const path = join(folder, 'changed.safetensors');
    await saveEvolution(path, evolution);
    await withSafetensors(path, async (file) => {
      const read = async (name: string) => [name, await file.read(name)] as const;
      const tensors = new Map(await Promise.all(file.names.map(read)));
      change(tensors);
      await writeSafetensors(path, tensors, { metadata: file.header.metadata });
    });
    await expect(loadEvolution(path)).rejects.toThrow(message);
  });
});
