import { describe, expect, it } from 'vitest';
import { CompiledRuntime } from '../../../../core/engine/compiled/compiled-runtime.ts';
import { EagerRuntime } from '../../../../core/engine/eager/eager-runtime.ts';
import { factorArrays } from '../../../../core/training/optimizer/factors.ts';
import type { Batch } from '../../../../core/engine/runtime.ts';
import { repeatedTokens, sharePrefixes, sharesOf } from '../../../../core/engine/call/shared-prefixes.ts';
import type { ModelConfig } from '../../../../core/models/config/model-config.ts';
import { Random } from '../../../../core/statistics/random.ts';
import { largestDifference, relativeError, sum } from '../support/numeric.ts';
import { disposeAfterEach } from '../support/opened-runtimes.ts';
import { randomAdapter, randomBase } from '../support/random-model.ts';

const opened = disposeAfterEach();

/** A batch of sequences in which every token is a label position. */
function batchOf(sequences: readonly (readonly number[])[]): Batch {
  const inputIds = Int32Array.from(sequences.flat());
  return {
    inputIds,
    sequenceLengths: Int32Array.from(sequences, ({ length }) => length),
    labelPositions: Int32Array.from(inputIds.keys()),
    labelIds: inputIds.map((id) => (id + 1) % 50),
  };
}

describe('sharePrefixes', () => {
  it('is what one works out by hand', () => {
    // 7 8 9 and 7 8 5 share two tokens, the third sequence is the first again, and the fourth shares nothing.
    const shared = sharePrefixes(
      batchOf([
        [7, 8, 9],
        [7, 8, 5, 9],
        [7, 8, 9],
        [8, 9],
      ]),
      50,
    );
    const { representatives, indices } = shared;
    expect([...representatives]).toEqual([0, 1, 2, 5, 6, 10, 11]);
    expect([...indices]).toEqual([0, 1, 2, 0, 1, 3, 4, 0, 1, 2, 5, 6]);
    expect([...repeatedTokens(shared)]).toEqual([3, 4, 7, 8, 9]);
    expect([...sharesOf(shared)].map((share) => Math.round(1 / share))).toEqual([3, 3, 2, 1, 1, 1, 1]);
  });

  it('gives every token the representative of its beginning, and no beginning two', () => {
    const random = Random.fromSeed(2);
    const sequences = Array.from({ length: 60 }, () =>
      Array.from({ length: 1 + random.integer(6) }, () => random.integer(3)),
    );
    const { representatives, indices } = sharePrefixes(batchOf(sequences), 3);
    const beginnings = sequences.flatMap((ids) => ids.map((_, at) => ids.slice(0, at + 1).join()));
    expect(representatives).toHaveLength(new Set(beginnings).size);
    beginnings.forEach((beginning, token) => expect(beginnings[representatives[indices[token]!]!]).toBe(beginning));
  });
});

describe('a batch whose sequences begin alike', () => {
  const template = [3, 1, 4, 1, 5, 9, 2, 6];
  const sequences = [[...template, 7, 8], [...template, 7, 9, 11], [...template], [12, 1, 4], [...template, 7, 8]];

  it.each<[string, Partial<ModelConfig>]>([
    ['all before it', {}],
    ['a window', { slidingWindows: [3, null] }],
    [
      'angles that go by the length of the text',
      { maxPositionEmbeddings: 4, ropeScaling: { type: 'dynamic', factor: 2 } },
    ],
  ])('gives each what it gives it alone: queries that see %s', async (_name, config) => {
    const base = randomBase(config);
    const adapter = randomAdapter(base, () => 3);
    const runtime = opened(new CompiledRuntime(base, { threads: 1 }));
    const alone = await Promise.all(sequences.map((ids) => runtime.labelLosses(adapter, batchOf([ids]))));
    const together = await runtime.labelLosses(adapter, batchOf(sequences));
    expect(
      largestDifference(
        together,
        alone.flatMap((losses) => [...losses]),
      ),
    ).toBeLessThan(1e-5);
  });

  it.each<[string, Partial<ModelConfig>]>([
    ['all before it', {}],
    ['a window', { slidingWindows: [3, null] }],
    [
      'angles that go by the length of the text',
      { maxPositionEmbeddings: 4, ropeScaling: { type: 'dynamic', factor: 2 } },
    ],
  ])('gives the sum of the gradients of each alone: queries that see %s', async (_name, config) => {
    const base = randomBase(config);
    const adapter = randomAdapter(base, () => 3);
    for (const runtime of [opened(new CompiledRuntime(base, { threads: 1 })), opened(new EagerRuntime(base))]) {
      const alone = await Promise.all(sequences.map((ids) => runtime.gradients(adapter, batchOf([ids]), 1)));
      const together = await runtime.gradients(adapter, batchOf(sequences), 1);
      expect(together.lossSum).toBeCloseTo(sum(alone.map(({ lossSum }) => lossSum)), 3);
      for (const [name, values] of factorArrays(together.gradients)) {
        const parts = alone.map(({ gradients }) => factorArrays(gradients).get(name)!);
        const total = values.map((_, index) => sum(parts.map((part) => part[index]!)));
        expect(relativeError(values, total), name).toBeLessThan(1e-4);
      }
    }
  });
});
