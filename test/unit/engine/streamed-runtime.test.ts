import { afterEach, describe, expect, it, vi } from 'vitest';
import { CompiledRuntime } from '../../../core/engine/compiled/compiled-runtime.ts';
import { StreamedRuntime } from '../../../core/engine/compiled/streamed-runtime.ts';
import { compareWithFloat32 } from '../../../core/engine/int8/compare-with-float32.ts';
import { planFloat32, stageBytes } from '../../../core/engine/int8/float32-runtime.ts';
import type { BaseModel, Tensor } from '../../../core/models/base-model.ts';
import { asDora, randomAdapter, randomBase, randomBatch } from './support/random-model.ts';

const BASE = randomBase({ numLayers: 3 });
const BATCH = randomBatch(BASE, [5, 9, 3]);
const LAYER = 'model.layers.1.mlp.up_proj.weight';

/** A base that records the order in which its weights are read. */
function watched(base: BaseModel, read: string[]): BaseModel {
  const weights = new Map(base.weights);
  const get = weights.get.bind(weights);
  weights.get = (name: string): Tensor | undefined => (read.push(name), get(name));
  return { ...base, weights };
}

describe('a base in float32, some layers at a time', () => {
  it.each([1, 20_000, 1e9])(
    'computes the bits of a runtime that holds it, with %d bytes of weights a stage',
    async (weightBytes) => {
      const lora = randomAdapter(BASE, (module) => (module.includes('proj') ? 3 : null));
      const whole = new CompiledRuntime(BASE, { threads: 1 });
      const streamed = new StreamedRuntime(BASE, { threads: 1, weightBytes });
      try {
        expect(await streamed.labelLosses(null, BATCH)).toEqual(await whole.labelLosses(null, BATCH));
        for (const adapter of [lora, asDora(lora)]) {
          expect(await streamed.logits(adapter, BATCH)).toEqual(await whole.logits(adapter, BATCH));
          for (const fewPrograms of [false, true]) {
            streamed.fewPrograms = whole.fewPrograms = fewPrograms;
            expect(await streamed.gradients(adapter, BATCH, 0.5)).toEqual(await whole.gradients(adapter, BATCH, 0.5));
          }
        }
      } finally {
        await streamed.dispose();
        await whole.dispose();
      }
    },
  );

  it('reads the weights of a layer when the layers before it are done, and again for the next batch', async () => {
    const read: string[] = [];
    const streamed = new StreamedRuntime(watched(BASE, read), { threads: 1, weightBytes: 1 });
    await streamed.labelLosses(null, BATCH);
    const layers = read.map((name) => /layers\.(\d+)/.exec(name)?.[1]).filter((layer) => layer !== undefined);
    expect(layers).toEqual(layers.toSorted());
    expect(new Set(layers).size).toBe(3);
    await streamed.labelLosses(null, BATCH);
    expect(read.filter((name) => name === LAYER)).toHaveLength(2);
    await streamed.dispose();
  });
});

describe('the plan for float32', () => {
  const GIB = 2 ** 30;
  /** Configs with 6.5 billion and 0.1 billion weights in layers. */
  const config = (numLayers: number, hiddenSize: number) => ({
    config: {
      ...BASE.config,
      numLayers,
      hiddenSize,
      intermediateSize: 2.6875 * hiddenSize,
      numHeads: 32,
      numKeyValueHeads: 32,
      headDim: hiddenSize / 32,
    },
  });

  it.each([
    ['a small base', config(30, 576), 'many', 8, 'held'],
    ['a small base with little memory', config(30, 576), 'many', 0.25, 'streamed'],
    ['a small base with no memory for two matrices', config(30, 576), 'many', 0.01, 'impossible'],
    ['one of 7 billion for many passes, with much memory', config(32, 4096), 'many', 64, 'held'],
    ['one of 7 billion for a few passes', config(32, 4096), 'few', 64, 'streamed'],
    ['one of 7 billion with less memory than it takes', config(32, 4096), 'many', 16, 'streamed'],
    ['one of 7 billion for training, with much memory', config(32, 4096), 'training', 64, 'held'],
    ['one of 7 billion for training, with less memory than it takes', config(32, 4096), 'training', 16, 'impossible'],
    ['one of 7 billion with no memory for two matrices', config(32, 4096), 'many', 0.25, 'impossible'],
  ] as const)('%s', (...[, base, passes, gib, plan]) => {
    expect(planFloat32(base, passes, gib * GIB)).toBe(plan);
  });

  it('has stages of a third of the free memory, of two matrices at the least and half a gibibyte at the most', () => {
    const small = config(30, 576);
    expect(stageBytes(small, 0)).toBe(2 * 4 * 576 * 1548);
    expect(stageBytes(small, 0.3 * GIB)).toBeCloseTo(0.1 * GIB, 0);
    expect(stageBytes(small, 64 * GIB)).toBe(0.5 * GIB);
  });
});

describe('the comparison of int8 with float32', () => {
  afterEach(() => vi.restoreAllMocks());

  it('finds out the same where the float32 matrices do not fit into the memory', async () => {
    const base = randomBase({ hiddenSize: 256, intermediateSize: 512, numHeads: 4, numKeyValueHeads: 4, headDim: 64 });
    const [batch, smallBatch] = [randomBatch(base, [30, 20], 8), randomBatch(base, [12, 9], 4)];
    const compared = async () => {
      const { verdict, engine } = await compareWithFloat32({ base, threads: 1, batch, smallBatch });
      await engine.dispose();
      const { speedUp, ...found } = verdict;
      expect(speedUp).toBeGreaterThan(0);
      return found;
    };
    const held = await compared();
    vi.spyOn(process, 'availableMemory').mockReturnValue(1000);
    expect(await compared()).toEqual(held);
  });
});
