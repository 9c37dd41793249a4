import { describe, expect, it } from 'vitest';
import type { Tokenizer } from '../../../core/formats/tokenizer/tokenizer.ts';
import { Random } from '../../../core/statistics/random.ts';
import { cutIntoRuns, labelLimit, sortIntoBatches, sumByExample } from '../../../core/data/batching.ts';
import type { TokenizedExample } from '../../../core/data/example.ts';
import { labelSequences, makeBatch } from '../../../core/data/make-batch.ts';
import { tokenizeExamples } from '../../../core/data/tokenize.ts';
import { TrainingSampler } from '../../../core/training/training-sampler.ts';

/** Random examples. */
function examplesOf(count: number, longest: number, seed = 1): TokenizedExample[] {
  const random = Random.fromSeed(seed);
  const ids = (length: number) => Array.from({ length }, () => 1 + random.integer(500));
  return Array.from({ length: count }, () => ({
    promptIds: ids(1 + random.integer(longest)),
    completionIds: ids(1 + random.integer(3)),
    row: { prompt: 'p', completion: 'c' },
  }));
}

const example = (promptIds: number[], completionIds: number[]): TokenizedExample => ({
  promptIds,
  completionIds,
  row: { prompt: '', completion: '' },
});

describe('makeBatch', () => {
  it('is what one works out by hand', () => {
    const batch = makeBatch([example([5, 6, 7], [8, 9]), example([3], [4])]);
    expect(batch).toEqual({
      inputIds: Int32Array.of(5, 6, 7, 8, 3),
      sequenceLengths: Int32Array.of(4, 1),
      textLengths: Int32Array.of(5, 2),
      labelPositions: Int32Array.of(2, 3, 4),
      labelIds: Int32Array.of(8, 9, 4),
    });
    expect(labelSequences(batch)).toEqual(Int32Array.of(0, 0, 1));
  });

  it('refuses an example without a prompt or a completion', () => {
    expect(() => makeBatch([example([], [2])])).toThrow('prompt has no tokens');
    expect(() => makeBatch([example([2], [])])).toThrow('completion has no tokens');
  });
});

describe('cutIntoRuns', () => {
  /** Of so many input tokens and labels. */
  const sized = (tokens: number, labels: number) =>
    example(Array<number>(tokens - labels + 1).fill(1), Array<number>(labels).fill(2));
  const ofLengths = (...lengths: number[]) => lengths.map((length) => sized(length, 1));
  const ofLabels = (...counts: number[]) => counts.map((labels) => sized(10, labels));

  it('fills each run in order, and leaves an example alone that is larger than any', () => {
    expect(cutIntoRuns(ofLengths(3, 4, 4, 20, 1, 1), { maxTokens: 8 })).toEqual([[0, 1], [2], [3], [4, 5]]);
    expect(cutIntoRuns(ofLengths(3, 5), { maxTokens: 8 })).toEqual([[0, 1]]);
    expect(cutIntoRuns([], { maxTokens: 8 })).toEqual([]);
  });

  it('holds no more examples than allowed', () => {
    expect(cutIntoRuns(ofLengths(1, 1, 1, 1, 1), { maxTokens: 8, maxExamples: 2 })).toEqual([[0, 1], [2, 3], [4]]);
  });

  it('holds no more labels than allowed, but for an example that has more', () => {
    expect(cutIntoRuns(ofLabels(2, 3, 1, 9, 1, 4), { maxTokens: 100, maxLabels: 5 })).toEqual([
      [0, 1],
      [2],
      [3],
      [4, 5],
    ]);
    expect(cutIntoRuns(ofLabels(1, 1, 1), { maxTokens: 25, maxLabels: 5 })).toEqual([[0, 1], [2]]);
  });
});

describe('labelLimit', () => {
  it.each([
    ['SmolLM2', 49_152, 341],
    ['Gemma', 262_144, 64],
    ['the tiny test model', 512, 32_768],
    ['a vocabulary larger than the limit', 2 ** 25, 1],
  ])('keeps one array of logits of %s within 64 MiB', (_, vocabSize, labels) => {
    expect(labelLimit(vocabSize)).toBe(labels);
    if (labels > 1) expect(4 * labels * vocabSize).toBeLessThanOrEqual(2 ** 26);
  });
});

describe('sortIntoBatches', () => {
  const examples = examplesOf(101, 150);
  const batches = sortIntoBatches(examples, { maxTokens: 400, maxExamples: 16 });

  it('holds every example once, with its tokens and exactly its completion as labels', () => {
    expect(batches.flatMap((batch) => batch.examples).sort((a, b) => a - b)).toEqual(examples.map((_, i) => i));
    for (const { examples: members, batch } of batches) {
      expect(batch).toEqual(makeBatch(members.map((index) => examples[index]!)));
    }
  });

  it('goes from the longest to the shortest within its limits', () => {
    const lengths = batches.flatMap(({ batch }) => [...batch.sequenceLengths]);
    expect(lengths).toEqual([...lengths].sort((a, b) => b - a));
    expect(Math.max(...batches.map(({ batch }) => batch.inputIds.length))).toBeLessThanOrEqual(400);
    expect(Math.max(...batches.map((batch) => batch.examples.length))).toBe(16);
  });

  it('sums label losses per example', () => {
    for (const batch of batches) {
      const losses = Float32Array.from(batch.batch.labelIds, (target) => target + 0.5);
      const expected = batch.examples.map((index) =>
        examples[index]!.completionIds.reduce((total, id) => total + id + 0.5, 0),
      );
      expect([...sumByExample(batch, losses)]).toEqual(expected);
    }
  });
});

describe('TrainingSampler', () => {
  const sampler = (seed = 1, batchSize = 8) => new TrainingSampler(203, { batchSize, seed });
  const take = (from: TrainingSampler, count: number) => Array.from({ length: count }, () => from.next());

  it('hands out every example exactly once an epoch, one epoch unlike the next', () => {
    const from = sampler();
    const epochs = [0, 1, 2].map(() => take(from, from.batchesPerEpoch).flat());
    for (const epoch of epochs) expect([...epoch].sort((a, b) => a - b)).toEqual([...Array(203).keys()]);
    expect(new Set(epochs.map(String)).size).toBe(3);
    expect(from.batchesPerEpoch).toBe(26);
    expect(take(from, 26).map((batch) => batch.length)).toEqual([...Array<number>(25).fill(8), 3]);
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
    const few = new TrainingSampler(3, { batchSize: 16, seed: 1 });
    expect(take(few, 3).map((batch) => batch.length)).toEqual([3, 3, 3]);
    expect(() => new TrainingSampler(0, { batchSize: 4, seed: 1 })).toThrow('there are no training examples');
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
    const rows = [
      { prompt: 'a', completion: 'b' },
      { prompt: '', completion: 'b' },
    ];
    expect(() => tokenizeExamples(rows, bare, { maxLength: 9 })).toThrow('row 2: prompt has no tokens');
  });
});
