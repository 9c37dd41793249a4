import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { bindCall } from '../../../../core/engine/call/bind-call.ts';
import { fillBlocks, labelBlocks, labelWeights } from '../../../../core/engine/call/label-blocks.ts';
import { CompiledRuntime } from '../../../../core/engine/compiled/compiled-runtime.ts';
import { negativeLogLikelihood } from '../../../../core/engine/decoder/losses.ts';
import { programSpec } from '../../../../core/engine/decoder/program-spec.ts';
import { EagerRuntime } from '../../../../core/engine/eager/eager-runtime.ts';
import { selectBackend } from '../../../../core/engine/eager/select-backend.ts';
import { sizeName } from '../../../../core/engine/graph/symbolic-sizes.ts';
import type { Runtime } from '../../../../core/engine/runtime.ts';
import { traceProgram } from '../../../../core/engine/tracer/trace-program.ts';
import { factorArrays } from '../../../../core/training/optimizer/factors.ts';
import { largestDifference, randomSource, relativeError } from '../support/numeric.ts';
import { disposeAfterEach } from '../support/opened-runtimes.ts';
import { randomAdapter, randomBase } from '../support/random-model.ts';
import { everyModule, variationCase, type Variation } from '../support/variations.ts';

describe('blocks of labels', () => {
  it('are a power of two, and as few as keep the logits of each within the limit', () => {
    const [vocabSize, maxLogits] = [50, 200];
    const counts = [1, 4, 5, 8, 9, 33].map((labels) => labelBlocks(labels, vocabSize, maxLogits));
    expect(counts.map(({ blocks }) => blocks)).toEqual([1, 1, 2, 2, 4, 16]);
    expect(counts.map(({ labels }) => labels)).toEqual([1, 4, 3, 4, 3, 3]);
    expect(labelBlocks(1000, vocabSize, Infinity)).toEqual({ blocks: 1, labels: 1000 });
    expect(labelBlocks(2, vocabSize, 1)).toEqual({ blocks: 2, labels: 1 });
  });

  it('are filled with labels that do not count', () => {
    const three = { blocks: 2, labels: 2 };
    expect([...fillBlocks(Int32Array.of(7, 8, 9), three)]).toEqual([7, 8, 9, 9]);
    expect([...labelWeights(3, three)]).toEqual([1, 1, 1, 0]);
  });
});

describe('losses in blocks of labels', () => {
  beforeAll(() => selectBackend('cpu'));

  const [LABELS, WIDTH, VOCAB] = [8, 5, 11];

  /** Losses, and their gradient by the hidden states, with different output gradients for all losses. */
  function lossesOf(blocks: number, cap: number | null) {
    const random = randomSource(8);
    const matrix = (rows: number) =>
      tf.tensor2d(
        Float32Array.from({ length: rows * WIDTH }, () => 4 * random() - 2),
        [rows, WIDTH],
      );
    const [hidden, weight] = [matrix(LABELS), matrix(VOCAB)];
    const ids = tf.tensor1d([0, 3, 10, 3, 7, 1, 2, 9], 'int32');
    const compute = (differentiated: boolean) => (rows: tf.Tensor) =>
      negativeLogLikelihood(rows as tf.Tensor2D, { weight, cap }, ids, { blocks, differentiated });
    const dy = tf.tensor1d(Float32Array.from({ length: LABELS }, (_, label) => 0.5 + label));
    const gradient = tf.grad(compute(true))(hidden, dy);
    const losses = [compute(true), compute(false)].map((each) => each(hidden).dataSync<'float32'>());
    return { losses, gradient: gradient.dataSync<'float32'>(), compute, hidden, dy };
  }

  it.each([null, 3])('are those of all labels at once, and so are their gradients, with a cap of %s', (cap) => {
    const whole = lossesOf(1, cap);
    for (const blocks of [2, 4, 8]) {
      const found = lossesOf(blocks, cap);
      for (const losses of found.losses) expect(relativeError(losses, whole.losses[0]!)).toBeLessThan(1e-6);
      expect(relativeError(found.gradient, whole.gradient)).toBeLessThan(1e-6);
    }
  });

  it.each([null, 3])('have gradients that agree with differences of the losses, with a cap of %s', (cap) => {
    const { gradient, compute, hidden, dy } = lossesOf(4, cap);
    const random = randomSource(9);
    const direction = tf.tensor2d(
      Float32Array.from({ length: LABELS * WIDTH }, () => 2 * random() - 1),
      [LABELS, WIDTH],
    );
    const step = 1e-2;
    const at = (distance: number) =>
      compute(false)(hidden.add(direction.mul(distance)))
        .mul(dy)
        .sum()
        .dataSync()[0]!;
    const expected = (at(step) - at(-step)) / (2 * step);
    const slope = tf.tensor2d(gradient, [LABELS, WIDTH]).mul(direction).sum().dataSync()[0]!;
    expect(Math.abs(slope - expected)).toBeLessThan(1e-3 * Math.abs(expected));
  });
});

describe('a program with losses in blocks of labels', () => {
  const opened = disposeAfterEach();

  /** Number of labels whose logits are computed at a time. */
  const LABELS_AT_ONCE = 2;

  const cutting = <R extends Runtime>(runtime: R): R =>
    Object.assign(runtime, {
      tokenBudgets: { ...runtime.tokenBudgets, logits: LABELS_AT_ONCE * runtime.base.config.vocabSize },
    });

  const VARIATIONS: readonly (Variation & { readonly dropout?: { readonly rate: number; readonly seed: number } })[] = [
    { name: 'seven labels of a row', lengths: [9], labels: 7 },
    { name: 'rows with DoRA', dora: true, lengths: [6, 4], labels: 5 },
    { name: 'dropout', lengths: [9], labels: 7, dropout: { rate: 0.3, seed: 4 } },
    { name: 'an untied head', config: { tieWordEmbeddings: false }, lengths: [9], labels: 9 },
    { name: 'capped logits', config: { modelType: 'gemma2', logitSoftcap: 3 }, lengths: [9], labels: 5 },
  ];

  it.each(VARIATIONS)('computes what it does with all labels at once: $name', async ({ dropout, ...variation }) => {
    const { base, adapter, batch } = variationCase({ ranks: everyModule, ...variation });
    const limits = { maxLogits: LABELS_AT_ONCE * base.config.vocabSize };
    expect(bindCall(base, 'gradients', { adapter, tokens: batch }, limits).spec.labelBlocks).toBeGreaterThan(2);
    for (const open of [() => new CompiledRuntime(base, { threads: 1 }), () => new EagerRuntime(base)]) {
      const [cut, whole] = [cutting(opened(open())), opened(open())];
      for (const which of [adapter, null]) {
        const losses = await cut.labelLosses(which, batch);
        const expected = await whole.labelLosses(which, batch);
        expect(losses).toHaveLength(batch.labelIds.length);
        expect(largestDifference(losses, expected)).toBeLessThan(1e-5);
      }
      const expected = await whole.gradients(adapter, batch, 0.25, dropout);
      const found = await cut.gradients(adapter, batch, 0.25, dropout);
      expect(found.lossSum / expected.lossSum).toBeCloseTo(1, 6);
      for (const [name, values] of factorArrays(expected.gradients)) {
        expect(relativeError(factorArrays(found.gradients).get(name)!, values), name).toBeLessThan(1e-5);
      }
    }
  });

  it('has no array of all logits', () => {
    const base = randomBase();
    const adapter = randomAdapter(base, everyModule);
    for (const kind of ['labelLosses', 'gradients'] as const) {
      const { values } = traceProgram(programSpec({ kind, config: base.config, adapter, labelBlocks: 4 }));
      const forms = [...values.values()].map(({ shape }) => shape.map(sizeName).join(', '));
      expect(forms).toContain(`labels, ${base.config.vocabSize}`);
      expect(forms).not.toContain(`4·labels, ${base.config.vocabSize}`);
    }
  });
});
