import { describe, expect, it } from 'vitest';
import { sumInputMoments } from '../../../core/data/evaluation/input-moments.ts';
import { exampleOf } from '../../../core/data/example.ts';
import { CompiledRuntime } from '../../../core/engine/compiled/compiled-runtime.ts';
import { createRuntime } from '../../../core/engine/create-runtime.ts';
import { EagerRuntime } from '../../../core/engine/eager/eager-runtime.ts';
import { relativeError } from './support/numeric.ts';
import { COMPARED_DEVICES, disposeAfterEach } from './support/opened-runtimes.ts';
import { randomAdapter, randomBase, randomBatch } from './support/random-model.ts';
import { everyModule, VARIATIONS, variationCase } from './support/variations.ts';

const opened = disposeAfterEach();

describe('the moments of the inputs of linear layers', () => {
  it.each(VARIATIONS)('are the same compiled and eager: $name', async (variation) => {
    const { base, adapter, batch } = variationCase(variation);
    const compiled = opened(new CompiledRuntime(base, { threads: 1 }));
    const eager = opened(new EagerRuntime(base));
    for (const which of [adapter, null]) {
      const expected = await eager.inputMoments(which, batch);
      const found = await compiled.inputMoments(which, batch);
      expect([...found.keys()]).toEqual([...expected.keys()]);
      for (const [module, { squares, projected }] of expected) {
        const own = found.get(module)!;
        expect(relativeError(own.squares, squares), module).toBeLessThan(1e-4);
        expect(projected === null).toBe(!which?.modules.has(module));
        if (projected) expect(relativeError(own.projected!, projected), module).toBeLessThan(1e-4);
      }
    }
  });

  it.each(COMPARED_DEVICES)('are those of the normed embeddings in the first layer, on %s', async (device) => {
    const base = randomBase();
    const runtime = opened(createRuntime({ device, base, threads: 1 }));
    const batch = randomBatch(base, [4, 3]);
    const { hiddenSize, rmsNormEps } = base.config;
    const [embeddings, weight] = ['model.embed_tokens.weight', 'model.layers.0.input_layernorm.weight'].map(
      (name) => base.weights.get(name)!.data,
    );
    const expected = new Float64Array(hiddenSize);
    for (const id of batch.inputIds) {
      const row = embeddings!.subarray(id * hiddenSize, (id + 1) * hiddenSize);
      const scale = row.reduce((sum, value) => sum + value ** 2, 0) / hiddenSize + rmsNormEps;
      row.forEach((value, j) => (expected[j]! += (value * weight![j]!) ** 2 / scale));
    }
    const moments = await runtime.inputMoments(null, batch);
    for (const name of ['q_proj', 'k_proj', 'v_proj'])
      expect(relativeError(moments.get(`model.layers.0.self_attn.${name}`)!.squares, expected)).toBeLessThan(1e-5);
  });

  it.each(COMPARED_DEVICES)('are those of A x, whatever A has for rows, on %s', async (device) => {
    const base = randomBase();
    const lora = randomAdapter(base, everyModule);
    // With unit vectors in A and nothing in B, A x are three columns of the inputs of the base itself.
    const modules = [...lora.modules].map(([name, { a, b, ...shape }]) => {
      const picking = a.map((_, i) => Number(i % shape.inFeatures === 2 * Math.floor(i / shape.inFeatures)));
      return [name, { ...shape, a: picking, b: b.map(() => 0) }] as const;
    });
    const runtime = opened(createRuntime({ device, base, threads: 1 }));
    const batch = randomBatch(base, [4, 3]);
    const found = await runtime.inputMoments({ ...lora, modules: new Map(modules) }, batch);
    const alone = await runtime.inputMoments(null, batch);
    for (const [name, { projected, squares }] of found) {
      expect(relativeError(squares, alone.get(name)!.squares), name).toBeLessThan(1e-5);
      const diagonal = [0, 1, 2].map((k) => projected![4 * k]!);
      expect(
        relativeError(
          diagonal,
          [0, 2, 4].map((column) => squares[column]!),
        ),
        name,
      ).toBeLessThan(1e-5);
      expect(projected![1]).toBeCloseTo(projected![3]!, 5);
    }
  });

  it.each(COMPARED_DEVICES)('are squares of what gradients of A are multiples of, on %s', async (device) => {
    const base = randomBase();
    const adapter = randomAdapter(base, everyModule);
    const runtime = opened(createRuntime({ device, base, threads: 1 }));
    // For a single token, ∂loss/∂A = s · (Bᵀ dy) xᵀ, so each row of it is a multiple of x.
    const batch = randomBatch(base, [1], 1);
    const moments = await runtime.inputMoments(adapter, batch);
    const { gradients } = await runtime.gradients(adapter, batch, 1);
    let compared = 0;
    for (const [module, { a }] of gradients) {
      const own = moments.get(module)!.squares;
      const row = a.subarray(0, own.length).map((value) => value ** 2);
      const [length, total] = [row, own].map((values) => values.reduce((sum, value) => sum + value, 0));
      // A single token attends to itself alone, so that its queries and keys have no gradient.
      if (/\.[qk]_proj/.test(module)) continue;
      compared++;
      const scaled = row.map((value) => (value * total!) / length!);
      expect(relativeError(scaled, own), module).toBeLessThan(1e-4);
    }
    expect(compared).toBe(10);
  });

  it('count every token of every row, also those that rows begin with alike', async () => {
    const base = randomBase();
    const adapter = randomAdapter(base, (module) => (module.includes('q_proj') ? 2 : null));
    const runtime = opened(createRuntime({ device: 'tfjs-cpu', base }));
    const row = { prompt: '', completion: '' };
    const examples = [exampleOf([5, 6, 7], [8, 9], row), exampleOf([5, 6, 7], [9], row)];
    const both = await sumInputMoments(runtime, adapter, examples);
    const each = await Promise.all(examples.map((one) => sumInputMoments(runtime, adapter, [one])));
    for (const [module, sums] of both) {
      for (const name of ['squares', 'projected'] as const) {
        const [first, second] = each.map((one) => one.get(module)![name]);
        expect(sums[name].length).toBe(name === 'projected' ? (module.includes('q_proj') ? 4 : 0) : first!.length);
        expect(
          relativeError(
            sums[name],
            first!.map((value, i) => value + second![i]!),
          ),
        ).toBeLessThan(1e-9);
      }
    }
    await expect(sumInputMoments(runtime, null, [])).rejects.toThrow('no examples');
  });
});
