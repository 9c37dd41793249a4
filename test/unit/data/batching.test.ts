import { describe, expect, it } from 'vitest';
import { Random } from '../../../core/statistics/random.ts';
import { tokenBudgets } from '../../../core/engine/devices/token-budgets.ts';
import { randomBase } from '../engine/support/random-model.ts';
import {
  cutEvenly,
  cutIntoRuns,
  labelLimit,
  makeBatch,
  sortIntoBatches,
  type BatchLimits,
} from '../../../core/data/batching.ts';
import { exampleOf, promptTokens, type TokenizedExample } from '../../../core/data/example.ts';
import { tokenizeRows } from '../../../core/data/tokenize.ts';
import { characterTokenizer } from './support/character-tokenizer.ts';
import { drawnExamples, TrainingSampler } from '../../../core/training/training-sampler.ts';

/** Makes random examples with up to `longest` prompt tokens. */
function examplesOf(count: number, longest: number, seed = 1): TokenizedExample[] {
  const random = Random.fromSeed(seed);
  const ids = (length: number) => Array.from({ length }, () => 1 + random.integer(500));
  return Array.from({ length: count }, () =>
    exampleOf(ids(1 + random.integer(longest)), ids(1 + random.integer(3)), { prompt: 'p', completion: 'c' }),
  );
}

const example = (promptIds: number[], completionIds: number[]): TokenizedExample =>
  exampleOf(promptIds, completionIds, { prompt: '', completion: '' });

const completionOf = (each: TokenizedExample) => each.tokenIds.slice(promptTokens(each).length);

describe('makeBatch', () => {
  it('gives the batch computed by hand', () => {
    const batch = makeBatch([example([5, 6, 7], [8, 9]), example([3], [4])]);
    expect(batch).toEqual({
      inputIds: Int32Array.of(5, 6, 7, 8, 3),
      sequenceLengths: Int32Array.of(4, 1),
      textLengths: Int32Array.of(5, 2),
      labelPositions: Int32Array.of(2, 3, 4),
      labelIds: Int32Array.of(8, 9, 4),
    });
  });

  it('predicts several spans of a row', () => {
    const chat = {
      tokenIds: [5, 6, 7, 8, 9],
      labelSpans: [
        [1, 2],
        [3, 5],
      ],
      row: { prompt: '', completion: '' },
    } as const;
    expect(makeBatch([example([3], [4]), chat])).toEqual({
      inputIds: Int32Array.of(3, 5, 6, 7, 8),
      sequenceLengths: Int32Array.of(1, 4),
      textLengths: Int32Array.of(2, 5),
      labelPositions: Int32Array.of(0, 1, 3, 4),
      labelIds: Int32Array.of(4, 6, 8, 9),
    });
  });

  it('joins the targets of examples, of which one has none and one has fewer', () => {
    const taught = (tokens: TokenizedExample, perLabel: number, ids: number[], shares: number[]): TokenizedExample => {
      return { ...tokens, targets: { perLabel, ids: Int32Array.from(ids), shares: Float32Array.from(shares) } };
    };
    const batch = makeBatch([
      example([3], [4]),
      taught(example([5], [6, 7]), 2, [6, 9, 7, 8], [0.5, 0.25, 0.75, 0.125]),
      taught(example([1], [2]), 1, [5], [0.5]),
    ]);
    expect(batch.targets).toEqual({
      perLabel: 2,
      ids: Int32Array.of(4, 4, 6, 9, 7, 8, 5, 5),
      shares: Float32Array.of(1, 0, 0.5, 0.25, 0.75, 0.125, 0.5, 0),
    });
    expect(makeBatch([example([3], [4])])).not.toHaveProperty('targets');
  });

  it('refuses an example without a prompt or a completion', () => {
    expect(() => makeBatch([example([], [2])])).toThrow('prompt has no tokens');
    expect(() => makeBatch([example([2], [])])).toThrow('completion has no tokens');
  });
});

describe('cutIntoRuns', () => {
  /** Makes an example with these numbers of input tokens and labels. */
  const sized = (tokens: number, labels: number) =>
    example(Array<number>(tokens - labels + 1).fill(1), Array<number>(labels).fill(2));
  const ofLengths = (...lengths: number[]) => lengths.map((length) => sized(length, 1));
  const ofLabels = (...counts: number[]) => counts.map((labels) => sized(10, labels));
  /** Returns the runs as indices into the list of examples. */
  const runsOf = (examples: TokenizedExample[], limits: BatchLimits) =>
    cutIntoRuns(examples, limits).map((run) => run.map((member) => examples.indexOf(member)));

  it('fills each run in order, and gives an example that exceeds the limit a run of its own', () => {
    expect(runsOf(ofLengths(3, 4, 4, 20, 1, 1), { maxTokens: 8 })).toEqual([[0, 1], [2], [3], [4, 5]]);
    expect(runsOf(ofLengths(3, 5), { maxTokens: 8 })).toEqual([[0, 1]]);
    expect(runsOf([], { maxTokens: 8 })).toEqual([]);
  });

  it('holds no more examples than allowed', () => {
    expect(runsOf(ofLengths(1, 1, 1, 1, 1), { maxTokens: 8, maxExamples: 2 })).toEqual([[0, 1], [2, 3], [4]]);
  });

  it('holds no more labels than allowed, unless one example has more', () => {
    expect(runsOf(ofLabels(2, 3, 1, 9, 1, 4), { maxTokens: 100, maxLabels: 5 })).toEqual([[0, 1], [2], [3], [4, 5]]);
    expect(runsOf(ofLabels(1, 1, 1), { maxTokens: 25, maxLabels: 5 })).toEqual([[0, 1], [2]]);
  });
});

describe('cutEvenly', () => {
  const lengthsOf = (lengths: number[], limits: BatchLimits) => {
    const examples = lengths.map((length) => example(Array<number>(length).fill(1), [2]));
    return cutEvenly(examples, limits).map((run) => run.map(({ tokenIds }) => tokenIds.length - 1));
  };

  it('leaves no small run at the end, and keeps the order', () => {
    expect(lengthsOf([30, 30, 30, 10, 10], { maxTokens: 90 })).toEqual([
      [30, 30],
      [30, 10, 10],
    ]);
    expect(lengthsOf([30, 30, 30], { maxTokens: 90 })).toEqual([[30, 30, 30]]);
    expect(lengthsOf([], { maxTokens: 90 })).toEqual([]);
  });

  it('makes no more runs than are necessary, within the other limits and around rows that are too long', () => {
    expect(lengthsOf([5, 200, 5, 5, 5], { maxTokens: 90 })).toEqual([[5], [200], [5, 5, 5]]);
    expect(lengthsOf([5, 5, 5, 5], { maxTokens: 90, maxLabels: 2 })).toEqual([
      [5, 5],
      [5, 5],
    ]);
  });
});

describe('labelLimit', () => {
  it.each([
    ['SmolLM2', 49_152, 341],
    ['Gemma', 262_144, 64],
    ['the tiny test model', 512, 32_768],
    ['a vocabulary larger than the limit', 2 ** 25, 1],
  ])('keeps an array of logits of %s within 64 MiB', (_, vocabSize, labels) => {
    const config = { ...randomBase().config, vocabSize };
    const runtime = { base: { ...randomBase(), config }, tokenBudgets: tokenBudgets('cpu', config) };
    expect(labelLimit(runtime)).toBe(labels);
    if (labels > 1) expect(4 * labels * vocabSize).toBeLessThanOrEqual(2 ** 26);
  });
});

describe('sortIntoBatches', () => {
  const examples = examplesOf(101, 150);
  const batches = sortIntoBatches(examples, { maxTokens: 400, maxExamples: 16 });

  it('holds every example once, with its tokens and exactly its completion as labels', () => {
    const indices = batches.flatMap(({ members }) => members.map(({ index }) => index));
    expect(indices.sort((a, b) => a - b)).toEqual([...examples.keys()]);
    for (const { members, batch } of batches) {
      expect(batch).toEqual(makeBatch(members.map((member) => member.example)));
      for (const { example, index } of members) expect(example).toBe(examples[index]);
    }
  });

  it('goes from the longest to the shortest within its limits', () => {
    const lengths = batches.flatMap(({ batch }) => [...batch.sequenceLengths]);
    expect(lengths).toEqual([...lengths].sort((a, b) => b - a));
    expect(Math.max(...batches.map(({ batch }) => batch.inputIds.length))).toBeLessThanOrEqual(400);
    expect(Math.max(...batches.map(({ members }) => members.length))).toBe(16);
  });

  it('says which labels belong to which example', () => {
    for (const { batch, members } of batches) {
      for (const { example, start, end } of members) {
        expect([...batch.labelIds.subarray(start, end)]).toEqual(completionOf(example));
      }
      expect(members.at(-1)!.end).toBe(batch.labelIds.length);
    }
  });
});

describe('TrainingSampler', () => {
  const numbers = [...Array(203).keys()];
  const sampler = (seed = 1, batchSize = 8) => new TrainingSampler(numbers, { batchSize, seed });
  const take = (from: TrainingSampler<number>, count: number) => Array.from({ length: count }, () => from.next());

  it('hands out every example once in each epoch, in an order of its own', () => {
    const from = sampler();
    const epochs = [0, 1, 2].map(() => take(from, from.batchesPerEpoch).flat());
    for (const epoch of epochs) expect([...epoch].sort((a, b) => a - b)).toEqual(numbers);
    expect(new Set(epochs.map(String)).size).toBe(3);
    expect(from.batchesPerEpoch).toBe(26);
    expect(take(from, 26).map((batch) => batch.length)).toEqual([...Array<number>(25).fill(8), 3]);
  });

  it('follows from the seed', () => {
    expect(take(sampler(), 60)).toEqual(take(sampler(), 60));
    expect(take(sampler(2), 5)).not.toEqual(take(sampler(1), 5));
  });

  it.each([0, 1, 25, 26, 27, 40])('continues after %i batches as if it had never been interrupted', (done) => {
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

  it.each([1, 5, 25, 26, 60])('draws what drawnExamples says in %i steps', (steps) => {
    const drawn = new Set(take(sampler(), steps).flat());
    expect(drawnExamples(203, { batchSize: 8, seed: 1, steps })).toEqual([...drawn].sort((a, b) => a - b));
  });

  it('hands out fewer examples than a batch if there are no more, and refuses an empty list', () => {
    const few = new TrainingSampler([1, 2, 3], { batchSize: 16, seed: 1 });
    expect(take(few, 3).map((batch) => batch.length)).toEqual([3, 3, 3]);
    expect(() => new TrainingSampler([], { batchSize: 4, seed: 1 })).toThrow('there are no training examples');
    expect(() => sampler(1, 0)).toThrow('the batch size is 0, expected a positive integer');
    expect(() => sampler().restore({ epoch: 0, position: 500, random: [1, 2, 3, 4] })).toThrow(
      'position is 500, expected 0 to 26',
    );
  });
});

describe('tokenizeRows', () => {
  const tokenizer = characterTokenizer({ bos: 1 });
  const ids = (text: string) => [...text].map((character) => character.charCodeAt(0));
  const config = { maxPositionEmbeddings: 100, eosTokenIds: [] };
  const run = (prompt: string, completion: string, maxLength: number) =>
    tokenizeRows([{ prompt, completion }], { tokenizer, config, maxLength })[0]!;

  it('encodes the prompt with special tokens and the completion without', () => {
    expect(run('ab', 'cd', 10)).toMatchObject({ tokenIds: [1, ...ids('abcd')], labelSpans: [[3, 5]] });
    expect(run('', 'cd', 10)).toMatchObject({ tokenIds: [1, ...ids('cd')], labelSpans: [[1, 3]] });
  });

  it('cuts the prompt from the left and keeps its BOS and the whole completion', () => {
    expect(run('abcdef', 'xyz', 7)).toMatchObject({ tokenIds: [1, ...ids('defxyz')], labelSpans: [[4, 7]] });
    expect(run('abcdef', 'xyz', 6)).toMatchObject({ tokenIds: [1, ...ids('efxyz')], labelSpans: [[3, 6]] });
    expect(run('abcdef', 'xyz', 4)).toMatchObject({ tokenIds: ids('fxyz'), labelSpans: [[1, 4]] });
    expect(run('abcdef', 'xyz', 4).cut).toEqual({ tokens: 6, turns: 0 });
    expect(run('abc', 'xyz', 7)).toMatchObject({ tokenIds: [1, ...ids('abcxyz')] });
    expect(run('abc', 'xyz', 7)).not.toHaveProperty('cut');
  });

  it('refuses a completion that does not fit, and a prompt without tokens', () => {
    expect(() => run('a', 'wxyz', 4)).toThrow('row 1: completion has 4 tokens, expected at most 3');
    const bare = characterTokenizer();
    const rows = [
      { prompt: 'a', completion: 'b' },
      { prompt: '', completion: 'b' },
    ];
    expect(() => tokenizeRows(rows, { tokenizer: bare, config, maxLength: 9 })).toThrow('row 2: prompt has no tokens');
  });
});
