import { describe, expect, it } from 'vitest';
import { createRuntime } from '../../../core/engine/create-runtime.ts';
import { weightGradients } from '../../../core/training/weight-gradients.ts';
import { sum } from '../engine/support/numeric.ts';
import { COMPARED_DEVICES, disposeAfterEach } from '../engine/support/opened-runtimes.ts';
import { randomAdapter, randomBase, randomBatch } from '../engine/support/random-model.ts';

const opened = disposeAfterEach();
const STEP = 1e-2;

describe.each(COMPARED_DEVICES)('gradients of weights on %s', (device) => {
  // 24 columns make five parts of 5, and 40 columns five of 8; with 7 parts, the last ones are short or empty.
  it.each([1, 5, 7])('are differences of the loss, in %i parts', async (parts) => {
    const base = randomBase({ numLayers: 1 });
    const batch = randomBatch(base, [5, 4]);
    const runtime = opened(createRuntime({ device, base, threads: 1 }));
    const like = randomAdapter(base, (module) => (/q_proj|down_proj/.test(module) ? 2 : null));
    const dense = new Map(
      [...like.modules].map(([name, one]) => [name, new Float32Array(one.outFeatures * one.inFeatures)]),
    );
    let passes = 0;
    for await (const gradients of weightGradients(runtime, like, [batch], { parts })) {
      passes++;
      for (const [name, { from, to, width, data }] of gradients) {
        const { inFeatures, outFeatures } = like.modules.get(name)!;
        for (let i = 0; i < outFeatures; i++)
          for (let j = from; j < to; j++) dense.get(name)![i * inFeatures + j] = data[i * width + j - from]!;
      }
    }
    expect(passes).toBe(parts);
    for (const [name, gradient] of dense) {
      const largest = gradient.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const weight = base.weights.get(`${name}.weight`)!;
      for (const at of [0, 7, gradient.length >> 1, gradient.length - 1]) {
        const loss = async (step: number) => {
          const data = weight.data.slice();
          data[at]! += step;
          const weights = new Map(base.weights).set(`${name}.weight`, { ...weight, data });
          const moved = opened(createRuntime({ device, base: { ...base, weights }, threads: 1 }));
          return sum(await moved.labelLosses(null, batch));
        };
        const difference = ((await loss(STEP)) - (await loss(-STEP))) / (2 * STEP);
        expect(Math.abs(difference - gradient[at]!), `${name} ${at}`).toBeLessThan(0.01 * largest + 2e-3);
      }
      expect(largest).toBeGreaterThan(0.05);
    }
  });
});

it('comes part after part, and for each batch', async () => {
  const base = randomBase({ numLayers: 1 });
  const runtime = opened(createRuntime({ device: 'tfjs-cpu', base }));
  const like = randomAdapter(base, (module) => (module.includes('q_proj') ? 2 : null));
  const seen: number[] = [];
  const batches = [randomBatch(base, [3]), randomBatch(base, [2])];
  for await (const gradients of weightGradients(runtime, like, batches, { parts: 2 }))
    for (const { from } of gradients.values()) seen.push(from);
  expect(seen).toEqual([0, 0, 12, 12]);
  await expect(weightGradients(runtime, like, batches, { parts: 0 }).next()).rejects.toThrow('parts is 0');
});
