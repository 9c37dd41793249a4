import { describe, expect, it, test } from 'vitest';
import type { GeneratingBase } from '../../../core/engine/generation/generate-texts.ts';
import type { Batch, DecodeStep, Runtime } from '../../../core/engine/runtime.ts';
import { findChoices, type ChoiceSet } from '../../../core/data/choices.ts';
import { answerLimits } from '../../../core/data/evaluation/generated-answers.ts';
import { accuracy, meanLoss, measure } from '../../../core/data/evaluation/measure.ts';
import { exampleOf, type ExampleRow, type TokenizedExample } from '../../../core/data/example.ts';
import { characterTokenizer } from './support/character-tokenizer.ts';
import { expectedText, questionOf } from '../../../core/formats/dataset/dataset-row.ts';

/*
 * A language model of four tokens that looks only at the last token. Row t holds the probabilities of the next token
 * after token t.
 *   after 0: 1 with 1/2, 2 with 1/4, 3 with 1/4        after 1: 3 with 3/4, 0 with 1/4
 *   after 2: 3 with 7/8, 0 with 1/8                   after 3: uniform
 */
const NEXT = [
  [0, 1 / 2, 1 / 4, 1 / 4],
  [1 / 4, 0, 0, 3 / 4],
  [1 / 8, 0, 0, 7 / 8],
  [1 / 4, 1 / 4, 1 / 4, 1 / 4],
];

interface CountingRuntime extends Runtime {
  /** Kind and number of labels of each call. */
  readonly calls: { kind: string; labels: number }[];
}

function bigramRuntime(vocabSize = 4): CountingRuntime {
  const calls: { kind: string; labels: number }[] = [];
  const after = (batch: Batch, label: number): number[] => NEXT[batch.inputIds[batch.labelPositions[label]!]!]!;
  const count = (kind: string, batch: Batch): void => {
    calls.push({ kind, labels: batch.labelPositions.length });
  };
  return {
    calls,
    name: 'bigram',
    base: { config: { vocabSize, maxPositionEmbeddings: 8, numLayers: 0, numKeyValueHeads: 1, headDim: 1 } },
    tokenBudgets: { forward: 1024, gradients: 384, logits: 2 ** 24 },
    logitRounding: 0.05,
    labelLosses: async (_: unknown, batch: Batch) => {
      count('losses', batch);
      return Float32Array.from(batch.labelIds, (target, i) => -Math.log(after(batch, i)[target]!));
    },
    logits: async (_: unknown, batch: Batch) => {
      count('logits', batch);
      // Shifted by a constant, because logits need not be log-probabilities.
      return Float32Array.from(
        [...batch.labelPositions.keys()].flatMap((i) => after(batch, i).map((p) => Math.log(p) + 5)),
      );
    },
    prefill: async (_: unknown, batch: Batch) => {
      count('prefill', batch);
      const logits = Float32Array.from([...batch.labelPositions.keys()].flatMap((i) => after(batch, i)));
      return { logits, states: { keys: [], values: [] }, stateOfToken: batch.inputIds, doraFactors: new Map() };
    },
    decode: async (_: unknown, { inputIds }: DecodeStep) => {
      calls.push({ kind: 'decode', labels: inputIds.length });
      const logits = Float32Array.from([...inputIds].flatMap((id) => NEXT[id]!));
      return { logits, states: { keys: [], values: [] }, stateOfToken: inputIds, doraFactors: new Map() };
    },
  } as unknown as CountingRuntime;
}

/** Model with a tokenizer that spells tokens as the letters a to d. */
function bigramBase({ runtime = bigramRuntime(), endOfTextIds = [] as number[] } = {}): GeneratingBase {
  const decode = (ids: readonly number[]) => ids.map((id) => 'abcd'[id]!).join('');
  return { runtime, endOfTextIds, tokenizer: { decode } };
}

function example(promptIds: number[], completionIds: number[], completion = ''): TokenizedExample {
  return exampleOf(promptIds, completionIds, { prompt: JSON.stringify(promptIds), completion });
}

/** Choices that continue every prompt in the same way. */
function choicesOf(rests: Record<string, number[]>, prefix: number[] = []): ChoiceSet {
  const texts = Object.keys(rests);
  return {
    texts,
    indexOf: (row) => texts.indexOf(expectedText(row)),
    tokensOf: (row) => ({ shared: [...promptOf(row), ...prefix], rests: Object.values(rests) }),
  };
}

function promptOf(row: ExampleRow): number[] {
  return JSON.parse(questionOf(row)) as number[];
}

describe('meanLoss', () => {
  it('averages over completion tokens, not over examples', async () => {
    const examples = [example([3, 0], [1]), example([0], [2, 3, 1])];
    const result = await meanLoss(bigramRuntime(), null, examples);
    const first = Math.log(2);
    const second = Math.log(4) + Math.log(8 / 7) + Math.log(4);
    expect(result.value).toBeCloseTo((first + second) / 4, 6);
    expect(result.perExample[0]).toBeCloseTo(first, 6);
    expect(result.perExample[1]).toBeCloseTo(second, 6);
    expect(result.tokens).toBe(2 + 3);
    const mean = (first + second) / 4;
    const residuals = (first - mean) ** 2 + (second - 3 * mean) ** 2;
    expect(result.standardError).toBeCloseTo(Math.sqrt(residuals * 2) / 4, 6);
  });
});

test.each(['loss', 'exact_match', 'accuracy'] as const)(
  'measures %s of many labels in passes whose logits fit in memory',
  async (metric) => {
    const examples = [
      example([0], [1, 3], 'x'),
      example([3, 0], [1], 'y'),
      example([0], [2, 3, 1], 'z'),
      example([0], [1], 'y'),
    ];
    const choices = choicesOf({ x: [1, 3], y: [1], z: [2, 3, 1] });
    const whole = await measure(bigramBase(), null, examples, { metric, choices });
    // 4 labels fit into 2 ** 24 logits.
    const runtime = bigramRuntime(2 ** 22);
    const parts = await measure(bigramBase({ runtime }), null, examples, { metric, choices });
    expect(parts).toEqual(whole);
    expect(runtime.calls.length).toBeGreaterThan(1);
    expect(Math.max(...runtime.calls.map(({ labels }) => labels))).toBeLessThanOrEqual(4);
  },
);

describe('accuracy', () => {
  const single = choicesOf({ a: [1], b: [2], c: [3] });

  it('ranks single-token choices with one row for each example', async () => {
    const runtime = bigramRuntime();
    const examples = [example([0], [1], 'a'), example([1], [3], 'b'), example([2], [3], 'c'), example([0], [2], 'b')];
    const result = await accuracy(runtime, null, examples, { choices: single });
    expect([...result.perExample]).toEqual([1, 0, 1, 0]);
    expect(result.value).toBe(0.5);
    expect(result.standardError).toBeCloseTo(0.25, 12);
    expect(runtime.calls).toEqual([{ kind: 'logits', labels: 4 }]);
  });

  it('sums log-probabilities of longer choices and completes only those that can still win', async () => {
    // After 0: "1 0" has 1/2 · 1/4 = 1/8, "2 3" has 1/4 · 7/8 = 7/32, "3" has 1/4 and wins.
    const choices = choicesOf({ x: [1, 0], y: [2, 3], z: [3] });
    const runtime = bigramRuntime();
    const result = await accuracy(runtime, null, [example([0], [3], 'z')], { choices });
    expect(result.value).toBe(1);
    const completed = runtime.calls
      .filter(({ kind }) => kind === 'losses')
      .reduce((total, { labels }) => total + labels, 0);
    // Only "2 3" is completed besides the own choice: its bound ties with "3", and it stands first.
    expect(completed).toBe(2);
  });

  it('needs one row if the own choice leads, whatever its length', async () => {
    // After 0: "1 3" has 1/2 · 3/4 = 3/8 and "2 3" at most 1/4.
    const choices = choicesOf({ x: [1, 3], y: [2, 3] });
    const runtime = bigramRuntime();
    expect((await accuracy(runtime, null, [example([0], [1, 3], 'x')], { choices })).value).toBe(1);
    expect(runtime.calls.map(({ kind }) => kind)).toEqual(['logits']);
    // If another choice leads, it is completed, and only then known to be above the own choice.
    expect((await accuracy(runtime, null, [example([0], [2, 3], 'y')], { choices })).value).toBe(0);
    expect(runtime.calls.map(({ kind }) => kind)).toEqual(['logits', 'logits', 'losses']);
  });

  it('completes an own choice that is too long to be fed along', async () => {
    const long = [1, 3, 0, 1, 3];
    const runtime = bigramRuntime();
    const result = await accuracy(runtime, null, [example([0], long, 'x')], {
      choices: choicesOf({ x: long, y: [3] }),
    });
    // "1 3 0 1 3" has 1/2 · 3/4 · 1/4 · 1/2 · 3/4, "3" has 1/4.
    expect(result.value).toBe(0);
    expect(runtime.calls.map(({ kind }) => kind)).toEqual(['logits', 'losses']);
  });

  it('completes all that can still win at once when a second choice leads', async () => {
    // After 0, each of the others begins with the same bound of 1/4 or more, and the own choice is the least of all.
    const choices = choicesOf({ own: [2, 0, 1], a: [1, 0, 3], b: [1, 3, 3], c: [3, 1, 0], d: [3, 2, 0] });
    const runtime = bigramRuntime();
    expect((await accuracy(runtime, null, [example([0], [2, 0, 1], 'own')], { choices })).value).toBe(0);
    expect(runtime.calls.map(({ kind }) => kind)).toEqual(['logits', 'losses', 'losses']);
  });

  describe('with many examples of short choices', () => {
    const texts = { x: [1, 3], y: [2, 3, 1], z: [1, 0], w: [3], v: [2, 3, 2] };
    const own = Object.entries(texts);
    const prompts = Array.from({ length: 24 }, (_, i) => [...Array<number>(30 + (i % 5)).fill(3), i % 4]);
    const best = (prompt: readonly number[]): string => {
      const scores = own.map(([, ids]) =>
        ids.reduce((product, id, i) => product * NEXT[i === 0 ? prompt.at(-1)! : ids[i - 1]!]![id]!, 1),
      );
      return own[scores.indexOf(Math.max(...scores))]![0];
    };

    it('scores the choices at once if the own choice seldom leads', async () => {
      const examples = prompts.flatMap((prompt) => own.map(([text, ids]) => example(prompt, ids, text)));
      const runtime = bigramRuntime();
      const { perExample, value } = await accuracy(runtime, null, examples, { choices: choicesOf(texts) });
      const isBest = ({ row }: TokenizedExample) => Number(best(promptOf(row)) === expectedText(row));
      expect([...perExample]).toEqual(examples.map(isBest));
      expect(value).toBe(1 / own.length);
      // After the sample, in which the own choice leads in one of five cases, one label for each token of each choice.
      const atOnce = runtime.calls.slice(3);
      expect(new Set(atOnce.map(({ kind }) => kind))).toEqual(new Set(['losses']));
      const labels = own.reduce((sum, [, ids]) => sum + ids.length, 0);
      expect(atOnce.reduce((sum, call) => sum + call.labels, 0)).toBe((examples.length * 7 * labels) / 8);
    });

    it('needs one row of each if the own choice mostly leads', async () => {
      // After 0: "1 3" has 3/8, and "2 3" at most 1/4.
      const examples = prompts.flatMap((prompt) => Array(4).fill(example([...prompt, 0], [1, 3], 'x')));
      const runtime = bigramRuntime();
      const choices = choicesOf({ x: [1, 3], y: [2, 3] });
      expect((await accuracy(runtime, null, examples, { choices })).value).toBe(1);
      expect(new Set(runtime.calls.map(({ kind }) => kind))).toEqual(new Set(['logits']));
      expect(runtime.calls.reduce((sum, { labels }) => sum + labels, 0)).toBe(2 * examples.length);
    });
  });

  it('feeds a shared beginning along with the prompt', async () => {
    // After 0 and the prefix 1: 3 (3/4) beats 0 (1/4).
    const choices = choicesOf({ x: [0], y: [3] }, [1]);
    const result = await accuracy(bigramRuntime(), null, [example([0], [1, 3], 'y'), example([0], [1, 0], 'x')], {
      choices,
    });
    expect([...result.perExample]).toEqual([1, 0]);
  });
});

describe('metrics of generated text', () => {
  // Greedy after 0: 1, then 3, then 0 (the first of equals): "bdabda…".
  const answers = (...completions: (readonly [ids: number[], text: string])[]) =>
    completions.map(([ids, text]) => example([0], ids, text));
  const examples = answers([[1, 3], 'bd'], [[1, 3, 0], ' bda\n'], [[1, 3, 2], 'bdc'], [[2, 3], 'cd']);

  it('gives an adapter that never learned to stop as many tokens as the completion has', async () => {
    const runtime = bigramRuntime();
    const result = await measure(bigramBase({ runtime }), null, examples, { metric: 'exact_match', choices: null });
    expect([...result.perExample]).toEqual([1, 1, 0, 0]);
    expect(result).toMatchObject({ metric: 'exact_match', value: 0.5, standardError: 0.25, examples: 4, tokens: 9 });
    // After token 3 all tokens are equally probable, so a step decides there.
    expect(runtime.calls.map(({ kind }) => kind)).toEqual(['prefill', 'decode']);
  });

  it('needs no step for exact matches whose tokens are clearly the most probable, nor for wrong ones', async () => {
    const runtime = bigramRuntime();
    const rows = answers([[1, 3], 'bd'], [[2, 3], 'cd'], [[1, 0], 'ba']);
    const { perExample } = await measure(bigramBase({ runtime }), null, rows, { metric: 'exact_match', choices: null });
    expect([...perExample]).toEqual([1, 0, 0]);
    expect(runtime.calls).toEqual([{ kind: 'prefill', labels: 6 }]);
  });

  it('takes another answer as a draft, whose tokens change the number of steps and nothing else', async () => {
    const rows = answers([[2, 3], 'cd'], [[2, 0], 'ca']);
    const options = { metric: 'rouge_l', choices: null } as const;
    const steps = async (draftOf: () => readonly number[]) => {
      const runtime = bigramRuntime();
      const found = await measure(bigramBase({ runtime }), null, rows, { ...options, draftOf });
      expect(found).toMatchObject({
        perExample: Float64Array.of(0, 0),
        answers: [
          [1, 3],
          [1, 3],
        ],
      });
      return runtime.calls.filter(({ kind }) => kind === 'decode').length;
    };
    expect(await steps(() => [])).toBe(1);
    expect(await steps(() => [2, 2])).toBe(1);
    expect(await steps(() => [1, 3])).toBe(0);
  });

  it('judges everything up to the end of the text where completions end with it', async () => {
    const base = bigramBase({ endOfTextIds: [0] });
    const rows = answers([[1, 3, 0], 'bda'], [[1, 0], 'ba']);
    const { perExample } = await measure(base, null, rows, { metric: 'exact_match', choices: null });
    expect([...perExample]).toEqual([1, 0]);
  });

  it('generates as many tokens as asked for, within the model\u2019s positions', async () => {
    const run = (maxNewTokens: number) =>
      measure(bigramBase(), null, answers([[1], 'bdabdab']), { metric: 'exact_match', choices: null, maxNewTokens });
    expect((await run(6)).value).toBe(0);
    expect((await run(7)).value).toBe(1);
    expect((await run(100)).value).toBe(1);
  });

  it('averages how much of texts and completions agree', async () => {
    const rows = answers([[1, 3], 'bd'], [[1, 3], 'other']);
    for (const metric of ['rouge_l', 'token_f1'] as const) {
      const result = await measure(bigramBase(), null, rows, { metric, choices: null });
      expect([...result.perExample]).toEqual([1, 0]);
      expect(result).toMatchObject({ metric, value: 0.5 });
    }
  });

  it('leaves room for twice the longest completion and a few tokens more', () => {
    const rows = [{ labelIds: [5, 7] }, { labelIds: [4, 4, 4, 7] }, { labelIds: [4, 4, 4] }];
    expect(answerLimits(rows, [7], {})).toEqual([24, 24, 3]);
    expect(answerLimits(rows.slice(0, 1), [7], { longestCompletion: 4 })).toEqual([24]);
    expect(answerLimits(rows, [7], { maxNewTokens: 9 })).toEqual([9, 9, 9]);
  });
});

describe('measure', () => {
  it('refuses accuracy without choices, and an empty list of examples', async () => {
    const run = (metric: 'accuracy' | 'loss' | 'rouge_l', examples: TokenizedExample[]) =>
      measure(bigramBase(), null, examples, { metric, choices: null });
    await expect(run('accuracy', [example([0], [1])])).rejects.toThrow('2 to 20 distinct completions');
    await expect(run('loss', [])).rejects.toThrow('no examples');
    await expect(run('rouge_l', [])).rejects.toThrow('no examples');
  });
});

describe('findChoices', () => {
  const tokenizer = characterTokenizer();
  const options = { tokenizer, config: { maxPositionEmbeddings: 9, eosTokenIds: [3] } };
  const rows = (completions: string[]) => completions.map((completion) => ({ prompt: 'p', completion }));

  it('splits 2 to 20 distinct completions into the tokens they share, with the prompt, and the rest', () => {
    const choices = findChoices(rows([' yes', ' no', ' yes']), options)!;
    expect(choices.texts).toEqual([' no', ' yes']);
    expect(choices.tokensOf({ prompt: 'why?', completion: ' yes' })).toEqual({
      shared: tokenizer.encode('why? '),
      rests: [tokenizer.encode('no'), tokenizer.encode('yes')],
    });
    expect(choices.indexOf({ prompt: '', completion: ' yes' })).toBe(1);
    expect(() => choices.indexOf({ prompt: '', completion: ' maybe' })).toThrow(`is not one of the task's 2 choices`);
  });

  it('cuts a prompt that is too long for the longest choice, for all of them alike', () => {
    const choices = findChoices(rows([' yes', ' no']), options)!;
    expect(choices.tokensOf({ prompt: 'a long one', completion: ' no' }).shared).toEqual(tokenizer.encode('g one '));
  });

  it('leaves every choice at least one token, also if it is the beginning of another', () => {
    expect(findChoices(rows(['ab', 'a']), options)!.tokensOf({ prompt: 'p', completion: 'a' }).rests).toEqual([
      tokenizer.encode('a'),
      tokenizer.encode('ab'),
    ]);
  });

  it('puts the end of the text behind each choice where rows have it', () => {
    const choices = findChoices(rows(['ab', 'a']), { ...options, appendEos: true })!;
    expect(choices.tokensOf({ prompt: 'p', completion: 'a' }).rests).toEqual([[3], [98, 3]]);
  });

  it.each([[1], [21]])('finds no choices among %i distinct completions', (count) => {
    expect(findChoices(rows(Array.from({ length: count }, (_, i) => `c${i}`)), options)).toBeNull();
  });
});
