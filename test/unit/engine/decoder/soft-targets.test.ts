import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { CompiledRuntime } from '../../../../core/engine/compiled/compiled-runtime.ts';
import { softCrossEntropy } from '../../../../core/engine/decoder/losses.ts';
import { EagerRuntime } from '../../../../core/engine/eager/eager-runtime.ts';
import { selectBackend } from '../../../../core/engine/eager/select-backend.ts';
import type { Batch, LabelTargets, Runtime } from '../../../../core/engine/runtime.ts';
import type { Adapter } from '../../../../core/models/lora/adapter.ts';
import { factorArrays } from '../../../../core/training/optimizer/factors.ts';
import { randomSource, relativeError, sum } from '../support/numeric.ts';
import { disposeAfterEach } from '../support/opened-runtimes.ts';
import { everyModule, variationCase, type Variation } from '../support/variations.ts';

/** −Σ q · ln softmax(logits) of one label. */
function crossEntropy(logits: readonly number[], ids: readonly number[], shares: readonly number[]): number {
  const normalizer = Math.log(sum(logits.map((logit) => Math.exp(logit))));
  return sum(ids.map((id, i) => shares[i]! * (normalizer - logits[id]!)));
}

describe('the loss of soft targets', () => {
  beforeAll(() => selectBackend('cpu'));

  const [LABELS, WIDTH, VOCAB] = [4, 3, 6];
  const random = randomSource(8);
  const values = (length: number) => Float32Array.from({ length }, () => 4 * random() - 2);
  const [hidden, embeddings] = [values(LABELS * WIDTH), values(VOCAB * WIDTH)];
  // Laid out target by target. The shares of the third label add up to 0.5, and those of the last one to 0.
  const ids = [0, 3, 5, 2, 1, 3, 4, 0];
  const shares = [0.75, 0.1, 0.25, 0, 0.25, 0.9, 0.25, 0];

  const compute = (cap: number | null, blocks: number) => (rows: tf.Tensor) =>
    softCrossEntropy(
      rows as tf.Tensor2D,
      { weight: tf.tensor2d(embeddings, [VOCAB, WIDTH]), cap },
      { ids: tf.tensor2d(ids, [2, LABELS], 'int32'), shares: tf.tensor2d(shares, [2, LABELS]) },
      { blocks, differentiated: true },
    );

  const CASES = [
    [null, 1],
    [3, 1],
    [null, 4],
    [3, 2],
  ] as const;

  it.each(CASES)('is −Σ q · ln p, with a cap of %s and in %i blocks', (cap, blocks) => {
    const losses = compute(cap, blocks)(tf.tensor2d(hidden, [LABELS, WIDTH])).dataSync<'float32'>();
    const expected = Array.from({ length: LABELS }, (_, label) => {
      const logits = Array.from({ length: VOCAB }, (_, id) => {
        const logit = sum(
          Array.from({ length: WIDTH }, (_, i) => hidden[label * WIDTH + i]! * embeddings[id * WIDTH + i]!),
        );
        return cap === null ? logit : cap * Math.tanh(logit / cap);
      });
      const at = [label, LABELS + label];
      return crossEntropy(
        logits,
        at.map((place) => ids[place]!),
        at.map((place) => shares[place]!),
      );
    });
    expect(relativeError(losses, expected)).toBeLessThan(1e-6);
  });

  it.each(CASES)('has gradients that agree with its differences, with a cap of %s and in %i blocks', (cap, blocks) => {
    const dy = tf.tensor1d([0.5, 1.5, 2.5, 3.5]);
    const gradient = tf
      .grad(compute(cap, blocks))(tf.tensor2d(hidden, [LABELS, WIDTH]), dy)
      .dataSync<'float32'>();
    const step = 1e-2;
    const at = (place: number, distance: number) => {
      const moved = hidden.with(place, hidden[place]! + distance);
      return compute(
        cap,
        1,
      )(tf.tensor2d(moved, [LABELS, WIDTH]))
        .mul(dy)
        .sum()
        .dataSync()[0]!;
    };
    const slopes = [...hidden.keys()].map((place) => (at(place, step) - at(place, -step)) / (2 * step));
    expect(relativeError(gradient, slopes)).toBeLessThan(1e-3);
  });
});

describe('a program with soft targets', () => {
  const opened = disposeAfterEach();

  const VARIATIONS: readonly (Variation & { readonly atOnce?: number })[] = [
    { name: 'rows that begin alike', lengths: [6, 4], labels: 3 },
    { name: 'labels in blocks', lengths: [9], labels: 7, atOnce: 2 },
    { name: 'DoRA', dora: true, lengths: [5, 4] },
    { name: 'capped logits', config: { modelType: 'gemma2', logitSoftcap: 3 }, lengths: [6, 3] },
    { name: 'an untied head', config: { tieWordEmbeddings: false }, lengths: [5, 3] },
  ];

  function targetsOf({ labelIds }: Batch, perLabel: number): LabelTargets {
    const random = randomSource(5);
    const ids = Int32Array.from({ length: perLabel * labelIds.length }, () => Math.floor(50 * random()));
    return { perLabel, ids, shares: Float32Array.from(ids, () => random()) };
  }

  /** Σ over labels and targets of −q · ln p, from the logits. */
  async function lossOf(runtime: Runtime, adapter: Adapter, batch: Batch & { readonly targets: LabelTargets }) {
    const logits = await runtime.logits(adapter, batch);
    const vocab = logits.length / batch.labelIds.length;
    const { perLabel, ids, shares } = batch.targets;
    return sum(
      Array.from(batch.labelIds, (_, label) => {
        const own = [...logits.subarray(label * vocab, (label + 1) * vocab)];
        const [from, to] = [label * perLabel, (label + 1) * perLabel];
        return crossEntropy(own, [...ids.subarray(from, to)], [...shares.subarray(from, to)]);
      }),
    );
  }

  const open = (variation: Variation & { readonly atOnce?: number }) => {
    const found = variationCase({ ranks: everyModule, ...variation });
    const batch = { ...found.batch, targets: targetsOf(found.batch, 3) };
    const runtimes = [new CompiledRuntime(found.base, { threads: 1 }), new EagerRuntime(found.base)].map(opened);
    const logits = (variation.atOnce ?? Infinity) * found.base.config.vocabSize;
    for (const runtime of runtimes) Object.assign(runtime, { tokenBudgets: { ...runtime.tokenBudgets, logits } });
    return { ...found, batch, runtimes };
  };

  it.each(VARIATIONS)('has the cross-entropy that the logits have: $name', async (variation) => {
    const { adapter, batch, runtimes } = open(variation);
    for (const runtime of runtimes) {
      const { lossSum } = await runtime.gradients(adapter, batch, 1);
      expect(lossSum / (await lossOf(runtime, adapter, batch))).toBeCloseTo(1, 5);
    }
  });

  it.each(VARIATIONS)('has the weighted sum of the gradients of its targets as labels: $name', async (variation) => {
    const { adapter, batch, runtimes } = open(variation);
    const { targets, ...labels } = batch;
    const weights = [0.6, 0.3, 0.25];
    const shares = targets.shares.map((_, at) => weights[at % 3]!);
    for (const runtime of runtimes) {
      const found = await runtime.gradients(adapter, { ...batch, targets: { ...targets, shares } }, 0.5);
      const expected = new Map<string, Float32Array>();
      for (const [target, weight] of weights.entries()) {
        const labelIds = targets.ids.filter((_, at) => at % 3 === target);
        const { gradients } = await runtime.gradients(adapter, { ...labels, labelIds }, 0.5 * weight);
        for (const [name, values] of factorArrays(gradients))
          expected.set(
            name,
            values.map((value, i) => value + (expected.get(name)?.[i] ?? 0)),
          );
      }
      for (const [name, values] of expected)
        expect(relativeError(factorArrays(found.gradients).get(name)!, values), name).toBeLessThan(1e-5);
    }
  });

  it('is told apart from the one that learns labels, and equals it where each label is its own target', async () => {
    const { adapter, batch, runtimes } = open({ name: 'both', lengths: [6, 4] });
    const { labelIds } = batch;
    const { targets: soft, ...hard } = batch;
    const own = { perLabel: 1, ids: labelIds, shares: new Float32Array(labelIds.length).fill(1) };
    for (const runtime of runtimes) {
      const found = await runtime.gradients(adapter, hard, 1);
      const same = await runtime.gradients(adapter, { ...batch, targets: own }, 1);
      const other = await runtime.gradients(adapter, { ...batch, targets: soft }, 1);
      expect(same.lossSum / found.lossSum).toBeCloseTo(1, 6);
      expect(Math.abs(other.lossSum / found.lossSum - 1)).toBeGreaterThan(0.01);
      for (const [name, values] of factorArrays(found.gradients))
        expect(relativeError(factorArrays(same.gradients).get(name)!, values), name).toBeLessThan(1e-5);
    }
  });

  it.each([
    [{ perLabel: 0, ids: new Int32Array(0), shares: new Float32Array(0) }, 'perLabel is 0, expected 1 or more'],
    [{ perLabel: 2, ids: new Int32Array(7), shares: new Float32Array(8) }, 'targets.ids has 7 elements, expected 8'],
    [{ perLabel: 2, ids: new Int32Array(8), shares: new Float32Array(4) }, 'targets.shares has 4 elements, expected 8'],
    [
      { perLabel: 1, ids: Int32Array.of(1, 2, 3, 50), shares: new Float32Array(4) },
      'batch.targets.ids holds 50, expected 0 to 49',
    ],
  ])('refuses targets that do not fit: %#', async (targets, message) => {
    const { adapter, batch, runtimes } = open({ name: 'refused', lengths: [6, 4] });
    for (const runtime of runtimes)
      await expect(runtime.gradients(adapter, { ...batch, targets }, 1)).rejects.toThrow(message);
  });
});
