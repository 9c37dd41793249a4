import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { CompiledRuntime } from '../../../../core/engine/compiled/compiled-runtime.ts';
import { EagerRuntime } from '../../../../core/engine/eager/eager-runtime.ts';
import { factorArrays } from '../../../../core/training/optimizer/factors.ts';
import { selectBackend } from '../../../../core/engine/eager/select-backend.ts';
import { dropOut } from '../../../../core/engine/decoder/dropout.ts';
import { linear } from '../../../../core/engine/decoder/linear.ts';
import { Random } from '../../../../core/statistics/random.ts';
import { largestDifference } from '../support/numeric.ts';
import { disposeAfterEach } from '../support/opened-runtimes.ts';
import { asDora, randomAdapter, randomBase, randomBatch } from '../support/random-model.ts';

const opened = disposeAfterEach();

/** Makes the random numbers that the runtimes use as inputs. */
function tensors(rows: number, columns: number, rate: number, seed = 1) {
  const random = Random.fromSeed(seed);
  return {
    rows: tf.tensor1d(Array.from({ length: rows }, () => 4096 * random.uniform())),
    features: tf.tensor1d(Array.from({ length: columns }, () => random.uniform())),
    rate: tf.scalar(rate),
  };
}

describe('the mask', () => {
  const [rows, columns, rate] = [400, 300, 0.3];
  const kept = () => {
    selectBackend('cpu');
    return tf.tidy(() => dropOut(tf.ones([rows, columns]), tensors(rows, columns, rate)).arraySync());
  };

  it('keeps its share, scaled so that the mean stays, in every row and column', () => {
    const mask = kept();
    expect(new Set(mask.flat())).toEqual(new Set([0, Math.fround(1 / (1 - Math.fround(rate)))]));
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(mean(mask.flat())).toBeCloseTo(1, 1.5);
    // The bounds are five standard errors of a share of 0.7 over 300 or 400 elements.
    for (const row of mask) expect(Math.abs(mean(row) - 1)).toBeLessThan(5 * Math.sqrt(0.3 / 0.7 / columns));
    for (let j = 0; j < columns; j++) {
      expect(Math.abs(mean(mask.map((row) => row[j]!)) - 1)).toBeLessThan(5 * Math.sqrt(0.3 / 0.7 / rows));
    }
  });

  it('drops elements as if on their own: rows and columns do not agree more than by chance', () => {
    const mask = kept().map((row) => row.map((value) => Number(value > 0) - 0.7));
    const correlation = (a: number[], b: number[]) =>
      a.reduce((sum, value, i) => sum + value * b[i]!, 0) / (a.length * 0.21);
    for (let k = 1; k < 40; k++) {
      expect(Math.abs(correlation(mask[0]!, mask[k]!))).toBeLessThan(5 / Math.sqrt(columns));
      const column = (j: number) => mask.map((row) => row[j]!);
      expect(Math.abs(correlation(column(0), column(k)))).toBeLessThan(5 / Math.sqrt(rows));
    }
  });
});

describe('a layer with dropout', () => {
  it.each([
    ['LoRA', false],
    ['DoRA', true],
  ])('%s: computes what PEFT states', (_name, isDora) => {
    selectBackend('cpu');
    tf.tidy(() => {
      const [x, weight] = [
        tf.randomNormal([5, 6], 0, 1, 'float32', 3),
        tf.randomNormal([4, 6], 0, 1, 'float32', 4),
      ] as tf.Tensor2D[];
      const [a, b] = [
        tf.randomNormal([2, 6], 0, 1, 'float32', 5),
        tf.randomNormal([4, 2], 0, 1, 'float32', 6),
      ] as tf.Tensor2D[];
      const scaling = tf.tensor1d([1.5]);
      const dropout = tensors(5, 6, 0.4);
      const dora = { magnitude: tf.tensor1d([1, 2, 3, 4]), weightSquares: weight!.square().sum<tf.Tensor1D>(1) };
      const lora = { a: a!, b: b!, scaling, dropout, ...(isDora && { dora }) };
      const found = linear(x!, { weight: weight! }, lora);

      const kept = dropOut(x!, dropout);
      const update = tf.matMul(tf.matMul(kept, a!, false, true), b!, false, true).mul(1.5);
      const base = tf.matMul(x!, weight!, false, true);
      const factor = dora.magnitude.div(weight!.add(tf.matMul(b!, a!).mul(1.5)).norm(2, 1));
      // PEFT's DoRA with dropout: W x + (m/‖W'‖ − 1) W x̃ + m/‖W'‖ · s B A x̃.
      const scaled = base.add(factor.sub(1).mul(tf.matMul(kept, weight!, false, true))).add(factor.mul(update));
      const expected = isDora ? scaled : base.add(update);
      expect(largestDifference(found.dataSync<'float32'>(), expected.dataSync<'float32'>())).toBeLessThan(1e-5);
    });
  });
});

describe('gradients with dropout', () => {
  const base = randomBase();
  const lora = randomAdapter(base, () => 3);
  const batch = randomBatch(base, [6, 4, 3]);

  it.each([
    ['LoRA', lora],
    ['DoRA', asDora(lora)],
  ])('%s: the compiled runtime drops what the eager one does', async (_name, adapter) => {
    const dropout = { rate: 0.3, seed: 5 };
    const compiled = await opened(new CompiledRuntime(base, { threads: 1 })).gradients(adapter, batch, 1, dropout);
    const eager = await opened(new EagerRuntime(base)).gradients(adapter, batch, 1, dropout);
    expect(compiled.lossSum).toBeCloseTo(eager.lossSum, 3);
    for (const [name, values] of factorArrays(eager.gradients)) {
      const largest = largestDifference(values, new Float32Array(values.length));
      expect(largestDifference(factorArrays(compiled.gradients).get(name)!, values), name).toBeLessThan(
        1e-4 * largest + 1e-6,
      );
    }
  });

  it('follows from the seed, is none at rate 0, and leaves evaluation alone', async () => {
    const runtime = opened(new CompiledRuntime(base, { threads: 1 }));
    const lossAt = async (rate: number, seed: number) =>
      (await runtime.gradients(lora, batch, 1, { rate, seed })).lossSum;
    const plain = (await runtime.gradients(lora, batch, 1)).lossSum;
    expect(await lossAt(0, 1)).toBe(plain);
    expect(await lossAt(0.5, 1)).toBe(await lossAt(0.5, 1));
    expect(await lossAt(0.5, 1)).not.toBe(await lossAt(0.5, 2));
    const losses = await runtime.labelLosses({ ...lora, config: { ...lora.config, dropout: 0.5 } }, batch);
    expect(losses.reduce((sum, loss) => sum + loss, 0)).toBeCloseTo(plain, 3);
  });
});
