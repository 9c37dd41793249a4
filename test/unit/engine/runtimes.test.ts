import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { CompiledRuntime } from '../../../core/engine/compiled/compiled-runtime.ts';
import { createRuntime } from '../../../core/engine/create-runtime.ts';
import { EagerRuntime } from '../../../core/engine/eager/eager-runtime.ts';
import { factorArrays, withFactorArrays } from '../../../core/training/optimizer/factors.ts';
import { selectBackend } from '../../../core/engine/eager/select-backend.ts';
import type { Adapter, LoraFactors } from '../../../core/models/lora/adapter.ts';
import type { BaseModel } from '../../../core/models/base-model.ts';
import { largestDifference, randomSource, relativeError, sum } from './support/numeric.ts';
import { COMPARED_DEVICES, disposeAfterEach } from './support/opened-runtimes.ts';
import { asDora, randomAdapter, randomBase, randomBatch } from './support/random-model.ts';
import { everyModule, expectSameResults, VARIATIONS, variationCase } from './support/variations.ts';

const opened = disposeAfterEach();

describe('the compiled runtime computes what the eager one does', () => {
  it.each(VARIATIONS)('$name', async (variation) => {
    const example = variationCase(variation);
    const compiled = opened(new CompiledRuntime(example.base, { threads: 1 }));
    await expectSameResults([compiled, opened(new EagerRuntime(example.base))], example, 1e-4);
  });
});

describe.each(COMPARED_DEVICES)('%s runtime', (device) => {
  const setup = () => {
    const base = randomBase();
    const runtime = opened(createRuntime({ device, base, threads: 1 }));
    return { base, runtime, adapter: randomAdapter(base, everyModule), batch: randomBatch(base, [6, 6]) };
  };

  it('has gradients that agree with differences of the loss along random directions', async () => {
    const { runtime, adapter, batch } = setup();
    const { gradients } = await runtime.gradients(adapter, batch, 1);
    const random = randomSource(7);
    for (const [name, gradient] of factorArrays(gradients)) {
      const direction = gradient.map((value) => value / 2 + 0.2 * (random() - 0.5));
      const scale = 1 / Math.hypot(...direction);
      const loss = async (epsilon: number) =>
        sum(await runtime.labelLosses(moved(adapter, name, direction, epsilon * scale), batch));
      const difference = ((await loss(1e-2)) - (await loss(-1e-2))) / 2e-2;
      const slope = sum(gradient.map((value, index) => value * direction[index]! * scale));
      expect(Math.abs(difference - slope), name).toBeLessThan(0.01 * Math.abs(slope) + 2e-3);
    }
  });

  it('has DoRA gradients that hold the norm constant', async () => {
    const { runtime, adapter: lora, batch, base } = setup();
    const adapter = asDora(lora);
    const { gradients } = await runtime.gradients(adapter, batch, 1);
    // W' = (m / n) (W + s B A), with n held constant, is LoRA on a base whose rows are multiplied by m / n.
    const constant = withNormsHeld(base, adapter);
    const reference = await opened(createRuntime({ device, base: constant.base })).gradients(
      constant.adapter,
      batch,
      1,
    );
    for (const [module, { a, b, magnitude }] of gradients) {
      const { ratios } = constant.rows.get(module)!;
      const expected = reference.gradients.get(module)!;
      const rank = b.length / ratios.length;
      expect(relativeError(a, expected.a), module).toBeLessThan(1e-4);
      const slopes = expected.b.map((value, index) => value * ratios[Math.floor(index / rank)]!);
      expect(relativeError(b, slopes), module).toBeLessThan(1e-4);
      const [row, step] = [1, 1e-2];
      const at = async (shift: number) => {
        const moved = magnitude!.map(
          (_, index) => adapter.modules.get(module)!.magnitude![index]! + (index === row ? shift : 0),
        );
        const modules = new Map(adapter.modules).set(module, { ...adapter.modules.get(module)!, magnitude: moved });
        return sum(await runtime.labelLosses({ ...adapter, modules }, batch));
      };
      expect(((await at(step)) - (await at(-step))) / (2 * step), module).toBeCloseTo(magnitude![row]!, 2);
    }
  });

  it.each([
    [1, [5]],
    [2, [4, 5]],
    [4, [2, 3, 4, 5]],
    [null, [0, 1, 2, 3, 4, 5]],
  ])('sees the last keys of a window of %s', async (window, visible) => {
    const base = randomBase({ numLayers: 1, slidingWindows: window === null ? null : [window] });
    const runtime = opened(createRuntime({ device, base, threads: 1 }));
    const batch = { ...randomBatch(base, [6]), labelPositions: Int32Array.of(5), labelIds: Int32Array.of(3) };
    const [before] = await runtime.labelLosses(null, batch);
    const changing: number[] = [];
    for (let position = 0; position < 6; position++) {
      const inputIds = batch.inputIds.with(position, (batch.inputIds[position]! + 1) % 50);
      if ((await runtime.labelLosses(null, { ...batch, inputIds }))[0] !== before) changing.push(position);
    }
    expect(changing).toEqual(visible);
  });

  it('scales gradients and not the loss', async () => {
    const { runtime, adapter, batch } = setup();
    const [once, twice] = [await runtime.gradients(adapter, batch, 1), await runtime.gradients(adapter, batch, 2)];
    expect(twice.lossSum).toBe(once.lossSum);
    const doubled = [...once.gradients.values()].flatMap(({ b }) => [...b].map((value) => 2 * value));
    expect(
      relativeError(
        [...twice.gradients.values()].flatMap(({ b }) => [...b]),
        doubled,
      ),
    ).toBeLessThan(1e-6);
  });

  it('hands out results that later calls do not overwrite', async () => {
    const { runtime, adapter, batch, base } = setup();
    const first = await runtime.labelLosses(adapter, batch);
    const kept = first.slice();
    await runtime.labelLosses(randomAdapter(base, everyModule, 9), batch);
    expect(first).toEqual(kept);
  });

  it('gives calls made at the same time their own results', async () => {
    const { runtime, adapter, batch } = setup();
    const [together, alone] = await Promise.all([
      runtime.labelLosses(adapter, batch),
      runtime.labelLosses(null, batch),
    ]);
    expect(together).toEqual(await runtime.labelLosses(adapter, batch));
    expect(alone).toEqual(await runtime.labelLosses(null, batch));
  });

  it('gives each sequence what it gives it alone, whatever shares its bin', async () => {
    const { runtime, adapter, base } = setup();
    const lengths = [4, 7, 2, 1, 6];
    const batch = randomBatch(base, lengths);
    const together = await runtime.labelLosses(adapter, batch);
    let [token, label] = [0, 0];
    for (const length of lengths) {
      const labels = Math.min(2, length);
      const alone = {
        inputIds: batch.inputIds.slice(token, token + length),
        sequenceLengths: Int32Array.of(length),
        labelPositions: batch.labelPositions.slice(label, label + labels).map((position) => position - token),
        labelIds: batch.labelIds.slice(label, label + labels),
      };
      const expected = await runtime.labelLosses(adapter, alone);
      expect(largestDifference(together.slice(label, label + labels), expected)).toBeLessThan(1e-5);
      token += length;
      label += labels;
    }
  });

  it.each([
    ['inputIds', { inputIds: new Int32Array(12).fill(50) }, 'batch.inputIds holds 50, expected 0 to 49'],
    [
      'labelPositions',
      { labelPositions: Int32Array.of(12, 0, 0, 0) },
      'batch.labelPositions holds 12, expected 0 to 11',
    ],
    ['labelIds', { labelIds: new Int32Array(1) }, 'batch.labelIds has 1 elements, expected 4'],
    ['sequenceLengths', { sequenceLengths: Int32Array.of(6, 5) }, 'batch.inputIds has 12 elements, expected 11'],
    ['textLengths', { textLengths: Int32Array.of(6) }, 'batch.textLengths has 1 elements, expected 2'],
    [
      'an empty sequence',
      { sequenceLengths: Int32Array.of(12, 0) },
      'batch.sequenceLengths holds 0, expected 1 or more',
    ],
  ])('refuses %s that do not fit', async (_name, wrong, message) => {
    const { runtime, batch } = setup();
    await expect(runtime.labelLosses(null, { ...batch, ...wrong })).rejects.toThrow(message);
  });
});

/** Makes a base and a LoRA adapter that compute the same as a DoRA adapter with constant norms. */
function withNormsHeld(base: BaseModel, dora: Adapter) {
  const weights = new Map(base.weights);
  const modules = new Map<string, LoraFactors>();
  const rows = new Map<string, { ratios: number[] }>();
  for (const [module, { magnitude, ...factors }] of dora.modules) {
    const { a, b, rank, inFeatures, outFeatures, scaling } = factors;
    const weight = base.weights.get(`${module}.weight`)!;
    const ratios = Array.from({ length: outFeatures }, (_, row) => {
      const merged = Array.from({ length: inFeatures }, (_, column) => {
        const update = Array.from({ length: rank }, (_, k) => b[row * rank + k]! * a[k * inFeatures + column]!);
        return weight.data[row * inFeatures + column]! + scaling * sum(update);
      });
      return magnitude![row]! / Math.hypot(...merged);
    });
    const data = weight.data.map((value, index) => value * ratios[Math.floor(index / inFeatures)]!);
    weights.set(`${module}.weight`, { ...weight, data });
    modules.set(module, { ...factors, b: b.map((value, index) => value * ratios[Math.floor(index / rank)]!) });
    rows.set(module, { ratios });
  }
  return { base: { ...base, weights }, adapter: { ...dora, modules }, rows };
}

function moved(adapter: Adapter, name: string, direction: Float32Array, distance: number): Adapter {
  const factors = new Map(factorArrays(adapter.modules));
  factors.set(
    name,
    factors.get(name)!.map((value, index) => value + distance * direction[index]!),
  );
  return withFactorArrays(adapter, factors);
}

describe('resources', () => {
  it('eager: keeps the base and no other tensor between calls, and nothing after dispose', async () => {
    const base = randomBase();
    const adapter = randomAdapter(base, everyModule);
    selectBackend('cpu');
    const before = tf.memory().numTensors;
    const runtime = new EagerRuntime(base);
    for (let call = 0; call < 3; call++) {
      await runtime.gradients(adapter, randomBatch(base, [6, 6]), 1);
      await runtime.logits(null, randomBatch(base, [6, 6]));
      expect(tf.memory().numTensors).toBe(before + base.weights.size);
    }
    await runtime.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('compiled: tracing leaves no tensor behind', async () => {
    const base = randomBase();
    const before = tf.memory().numTensors;
    const runtime = opened(new CompiledRuntime(base));
    await runtime.gradients(randomAdapter(base, everyModule), randomBatch(base, [6, 6]), 1);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('compiled: keeps at most the given number of programs, and still answers for one it dropped', async () => {
    const base = randomBase();
    const runtime = opened(new CompiledRuntime(base, { threads: 1, maxPrograms: 2 }));
    const batch = randomBatch(base, [4]);
    const first = await runtime.labelLosses(null, batch);
    for (const rank of [1, 2, 3])
      await runtime.labelLosses(
        randomAdapter(base, () => rank),
        batch,
      );
    expect(runtime.programs).toBe(2);
    expect(await runtime.labelLosses(null, batch)).toEqual(first);
    expect(runtime.programs).toBe(2);
  });

  it('compiled: batches of all sizes share a program', async () => {
    const base = randomBase();
    const runtime = opened(new CompiledRuntime(base, { threads: 1 }));
    for (const lengths of [[4], [5, 6, 1], [30]]) await runtime.labelLosses(null, randomBatch(base, lengths));
    expect(runtime.programs).toBe(1);
  });

  it('compiled: adapters of equal ranks share a program, whatever their scalings', async () => {
    const base = randomBase();
    const runtime = opened(new CompiledRuntime(base, { threads: 1 }));
    const adapter = randomAdapter(base, everyModule);
    const batch = randomBatch(base, [6, 6]);
    const losses = await runtime.labelLosses(adapter, batch);
    const halved = new Map([...adapter.modules].map(([name, lora]) => [name, { ...lora, scaling: lora.scaling / 2 }]));
    expect(await runtime.labelLosses({ ...adapter, modules: halved }, batch)).not.toEqual(losses);
    expect(runtime.programs).toBe(1);
    const [dora, other] = [asDora(adapter, 5), asDora(adapter, 6)];
    expect(await runtime.labelLosses(dora, batch)).not.toEqual(await runtime.labelLosses(other, batch));
    expect(runtime.programs).toBe(2);
  });
});
