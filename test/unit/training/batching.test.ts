import { describe, expect, it } from 'vitest';
import type { Tokenizer } from '../../../workers/formats/tokenizer.ts';
import { Random } from '../../../workers/models/random.ts';
import {
  bucketLabels,
  bucketLength,
  bucketRows,
  makeBatch,
  sortIntoBuckets,
  sumByExample,
  TrainingSampler,
  type ExampleBatch,
} from '../../../workers/training/batching.ts';
import type { TokenizedExample } from '../../../workers/training/example.ts';
import { tokenizeExamples } from '../../../workers/training/tokenize.ts';

/** Random examples with tokens from 1 up, so that padding (0) is told apart. */
function examplesOf(count: number, longest: number, seed = 1): TokenizedExample[] {
  const random = Random.fromSeed(seed);
  const ids = (length: number) => Array.from({ length }, () => 1 + random.integer(500));
  return Array.from({ length: count }, () => ({
    promptIds: ids(1 + random.integer(longest)),
    completionIds: ids(1 + random.integer(3)),
    row: { prompt: 'p', completion: 'c' },
  }));
}

/** What a batch holds for one row: the input tokens and (position, target) of its labels. */
function rowOf({ batch }: ExampleBatch, row: number) {
  const inputs = [...batch.inputIds.slice(row * batch.length, (row + 1) * batch.length)].filter((id) => id !== 0);
  const labels: [number, number][] = [];
  batch.labelWeights.forEach((weight, i) => {
    const position = batch.labelPositions[i]! - row * batch.length;
    if (weight === 1 && position >= 0 && position < batch.length) labels.push([position, batch.labelTargets[i]!]);
  });
  return { inputs, labels };
}

describe('buckets', () => {
  it.each([[1, 16], [16, 16], [17, 32], [64, 64], [65, 96], [97, 128], [1000, 1024]])('length %i → %i', (n, padded) => {
    expect(bucketLength(n)).toBe(padded);
  });

  it.each([[1, 8], [8, 8], [9, 12], [13, 16], [17, 24], [32, 32], [33, 48], [49, 64]])('labels %i → %i', (n, padded) => {
    expect(bucketLabels(n)).toBe(padded);
  });

  it.each([[1, 1], [3, 4], [9, 16], [17, 24], [24, 24]])('rows %i of 24 → %i', (n, padded) => {
    expect(bucketRows(n, 24)).toBe(padded);
  });
});

describe('makeBatch', () => {
  const example = (promptIds: number[], completionIds: number[]) => ({
    promptIds,
    completionIds,
    row: { prompt: '', completion: '' },
  });

  it('is what one works out by hand', () => {
    const batch = makeBatch([example([5, 6, 7], [8, 9]), example([3], [4])], { rows: 3 });
    expect({ ...batch, inputIds: undefined }).toEqual({
      rows: 3,
      length: 16,
      inputIds: undefined,
      labelPositions: Int32Array.of(2, 3, 16, 0, 0, 0, 0, 0),
      labelTargets: Int32Array.of(8, 9, 4, 0, 0, 0, 0, 0),
      labelWeights: Float32Array.of(1, 1, 1, 0, 0, 0, 0, 0),
      tokens: 5,
    });
    expect([...batch.inputIds.slice(0, 5), ...batch.inputIds.slice(16, 18)]).toEqual([5, 6, 7, 8, 0, 3, 0]);
    expect(batch.inputIds).toHaveLength(48);
  });

  it('refuses what does not fit', () => {
    const long = example(Array.from({ length: 20 }, () => 1), [2]);
    expect(() => makeBatch([long], { length: 16 })).toThrow('row of 20 tokens does not fit a length of 16');
    expect(() => makeBatch([long, long], { rows: 1 })).toThrow('batch of 1 rows cannot hold 2 examples');
    expect(() => makeBatch([example([], [2])])).toThrow('prompt has no tokens');
  });
});

describe('sortIntoBuckets', () => {
  const examples = examplesOf(101, 150);
  const batches = sortIntoBuckets(examples, { batchSize: 8 });

  it('holds every example once, with its tokens and exactly its completion as labels', () => {
    expect(batches.flatMap((batch) => batch.examples).sort((a, b) => a - b)).toEqual(examples.map((_, i) => i));
    for (const batch of batches) {
      batch.examples.forEach((index, row) => {
        const { promptIds, completionIds } = examples[index]!;
        expect(rowOf(batch, row)).toEqual({
          inputs: [...promptIds, ...completionIds.slice(0, -1)],
          labels: completionIds.map((target, i) => [promptIds.length - 1 + i, target]),
        });
      });
    }
  });

  it('keeps shapes few and padding small', () => {
    const shapes = new Set(batches.map(({ batch }) => `${batch.rows}x${batch.length}`));
    expect(shapes.size).toBeLessThanOrEqual(7);
    expect(new Set(batches.map(({ batch }) => batch.rows))).toEqual(new Set([8]));
    const padded = batches.reduce((total, { batch }) => total + batch.rows * batch.length, 0);
    const real = batches.reduce((total, { batch }) => total + batch.tokens, 0);
    expect(real / padded).toBeGreaterThan(0.75);
  });

  it('takes fewer rows for few examples', () => {
    const [only, ...others] = sortIntoBuckets(examples.slice(0, 3), { batchSize: 32 });
    expect([only!.batch.rows, others.length]).toEqual([4, 0]);
    expect(sortIntoBuckets([], { batchSize: 4 })).toEqual([]);
  });

  it('sums label losses per example', () => {
    for (const batch of batches) {
      const losses = batch.batch.labelWeights.map((weight, i) => weight * (batch.batch.labelTargets[i]! + 0.5));
      const expected = batch.examples.map((index) =>
        examples[index]!.completionIds.reduce((total, id) => total + id + 0.5, 0),
      );
      expect([...sumByExample(batch, losses)]).toEqual(expected);
    }
  });
});

describe('TrainingSampler', () => {
  const examples = examplesOf(203, 120, 2);
  const sampler = (seed = 1, batchSize = 8) => new TrainingSampler(examples, { batchSize, seed });
  const take = (from: TrainingSampler, count: number) => Array.from({ length: count }, () => from.next());

  it('hands out every example exactly once an epoch, one epoch unlike the next', () => {
    const from = sampler();
    const epochs = [0, 1, 2].map(() => take(from, from.batchesPerEpoch).flatMap((batch) => batch.examples));
    for (const epoch of epochs) expect([...epoch].sort((a, b) => a - b)).toEqual(examples.map((_, i) => i));
    expect(new Set(epochs.map(String)).size).toBe(3);
    expect(from.batchesPerEpoch).toBe(26);
  });

  it('groups like lengths: few shapes, one partial batch at most, little padding', () => {
    const from = sampler();
    const batches = take(from, from.batchesPerEpoch);
    expect(batches.filter((batch) => batch.examples.length < 8)).toHaveLength(1);
    expect(new Set(batches.map(({ batch }) => batch.rows))).toEqual(new Set([8]));
    expect(new Set(batches.map(({ batch }) => batch.length)).size).toBeLessThanOrEqual(6);
    const padded = batches.reduce((total, { batch }) => total + batch.rows * batch.length, 0);
    expect(batches.reduce((total, { batch }) => total + batch.tokens, 0) / padded).toBeGreaterThan(0.7);
    const lengths = batches.map(({ batch }) => batch.length);
    expect(lengths).not.toEqual([...lengths].sort((a, b) => a - b));
  });

  it('follows from the seed', () => {
    expect(take(sampler(), 60)).toEqual(take(sampler(), 60));
    expect(take(sampler(2), 5)).not.toEqual(take(sampler(1), 5));
  });

  it.each([0, 1, 25, 26, 27, 40])('resumed after %i batches goes on as if never interrupted', (done) => {
    const uninterrupted = sampler();
    const interrupted = sampler();
    take(uninterrupted, done);
    take(interrupted, done);
    const saved = JSON.parse(JSON.stringify(interrupted.state()));
    const resumed = sampler(99);
    resumed.restore(saved);
    expect(take(resumed, 60)).toEqual(take(uninterrupted, 60));
    expect(resumed.state()).toEqual(uninterrupted.state());
  });

  it('serves less data than a batch, and refuses none', () => {
    const few = new TrainingSampler(examples.slice(0, 3), { batchSize: 16, seed: 1 });
    expect(take(few, 3).map(({ batch, examples: members }) => [batch.rows, members.length])).toEqual([
      [4, 3],
      [4, 3],
      [4, 3],
    ]);
    expect(() => new TrainingSampler([], { batchSize: 4, seed: 1 })).toThrow('there are no training examples');
    expect(() => sampler(1, 0)).toThrow('batch size is 0');
    expect(() => sampler().restore({ epoch: 0, position: 500, random: [1, 2, 3, 4] })).toThrow('position is 500');
  });
});

describe('tokenizeExamples', () => {
  /** One token a character; a BOS (1) before what asks for special tokens. */
  const tokenizer: Tokenizer = {
    vocabSize: 200,
    encode: (text, { addSpecialTokens = true } = {}) => [
      ...(addSpecialTokens ? [1] : []),
      ...[...text].map((character) => character.charCodeAt(0)),
    ],
    decode: () => '',
    tokenId: () => undefined,
  };
  const ids = (text: string) => [...text].map((character) => character.charCodeAt(0));
  const run = (prompt: string, completion: string, maxLength: number, eosTokenId?: number) =>
    tokenizeExamples([{ prompt, completion }], tokenizer, { maxLength, eosTokenId })[0]!;

  it('encodes the prompt with special tokens and the completion without', () => {
    expect(run('ab', 'cd', 10)).toMatchObject({ promptIds: [1, ...ids('ab')], completionIds: ids('cd') });
    expect(run('ab', 'cd', 10, 2).completionIds).toEqual([...ids('cd'), 2]);
    expect(run('', 'cd', 10).promptIds).toEqual([1]);
  });

  it('cuts the prompt from the left, keeps its BOS, and the completion whole', () => {
    expect(run('abcdef', 'xyz', 7)).toMatchObject({ promptIds: [1, ...ids('def')], completionIds: ids('xyz') });
    expect(run('abcdef', 'xyz', 7, 2)).toMatchObject({ promptIds: [1, ...ids('ef')] });
    expect(run('abcdef', 'xyz', 4)).toMatchObject({ promptIds: ids('f'), completionIds: ids('xyz') });
    expect(run('abc', 'xyz', 7).promptIds).toEqual([1, ...ids('abc')]);
  });

  it('refuses a completion that does not fit, or rows that give nothing to predict', () => {
    expect(() => run('a', 'wxyz', 4)).toThrow('row 1: completion has 4 tokens, expected at most 3');
    const bare = { ...tokenizer, encode: (text: string) => ids(text) };
    const rows = [{ prompt: 'a', completion: 'b' }, { prompt: '', completion: 'b' }];
    expect(() => tokenizeExamples(rows, bare, { maxLength: 9 })).toThrow('row 2: prompt has no tokens');
  });
});
