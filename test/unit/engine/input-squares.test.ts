import { describe, expect, it } from 'vitest';
import { sumInputSquares } from '../../../core/data/evaluation/input-squares.ts';
import { exampleOf } from '../../../core/data/example.ts';
import { CompiledRuntime } from '../../../core/engine/compiled/compiled-runtime.ts';
import { createRuntime } from '../../../core/engine/create-runtime.ts';
import { EagerRuntime } from '../../../core/engine/eager/eager-runtime.ts';
import { relativeError } from './support/numeric.ts';
import { COMPARED_DEVICES, disposeAfterEach } from './support/opened-runtimes.ts';
import { randomAdapter, randomBase, randomBatch } from './support/random-model.ts';
import { everyModule, VARIATIONS, variationCase } from './support/variations.ts';

const opened = disposeAfterEach();

describe('the squares of the inputs of linear layers', () => {
  it.each(VARIATIONS)('are the same compiled and eager: $name', async (variation) => {
    const { base, adapter, batch } = variationCase(variation);
    const compiled = opened(new CompiledRuntime(base, { threads: 1 }));
    const eager = opened(new EagerRuntime(base));
    for (const which of [adapter, null]) {
      const expected = await eager.inputSquares(which, batch);
      const found = await compiled.inputSquares(which, batch);
      expect([...found.keys()]).toEqual([...expected.keys()]);
      for (const [module, squares] of expected)
        expect(relativeError(found.get(module)!, squares), module).toBeLessThan(1e-4);
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
    const squares = await runtime.inputSquares(null, batch);
    for (const name of ['q_proj', 'k_proj', 'v_proj'])
      expect(relativeError(squares.get(`model.layers.0.self_attn.${name}`)!, expected)).toBeLessThan(1e-5);
  });

  it.each(COMPARED_DEVICES)('are squares of what gradients of A are multiples of, on %s', async (device) => {
    const base = randomBase();
    const adapter = randomAdapter(base, everyModule);
    const runtime = opened(createRuntime({ device, base, threads: 1 }));
    // For a single token, ∂loss/∂A = s · (Bᵀ dy) xᵀ, so each row of it is a multiple of x.
    const batch = randomBatch(base, [1], 1);
    const squares = await runtime.inputSquares(adapter, batch);
    const { gradients } = await runtime.gradients(adapter, batch, 1);
    let compared = 0;
    for (const [module, { a }] of gradients) {
      const own = squares.get(module)!;
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
    const runtime = opened(createRuntime({ device: 'tfjs-cpu', base }));
    const row = { prompt: '', completion: '' };
    const examples = [exampleOf([5, 6, 7], [8, 9], row), exampleOf([5, 6, 7], [9], row)];
    const [both, once, again] = [
      await sumInputSquares(runtime, null, examples),
      await sumInputSquares(runtime, null, examples.slice(0, 1)),
      await sumInputSquares(runtime, null, examples.slice(1)),
    ];
    for (const [module, sum] of both)
      expect(
        relativeError(
          sum,
          once.get(module)!.map((value, i) => value + again.get(module)![i]!),
        ),
      ).toBeLessThan(1e-9);
    await expect(sumInputSquares(runtime, null, [])).rejects.toThrow('no examples');
  });
});
