import { describe, expect, it } from 'vitest';
import { benchCommand } from '../../bench/engine/options.ts';
import type { RowKind } from '../../bench/engine/rows.ts';
import { sumRuns } from '../../bench/engine/sides/profile.ts';
import { shareOfEqual, summarizeRatios } from '../../bench/engine/report/statistics.ts';
import { prepareWorkload, type PromptBatch, type WorkBatch } from '../../bench/engine/workload.ts';
import { loadBaseModel } from '../../../core/formats/hugging-face/hugging-face-model.ts';
import { loadTokenizer } from '../../../core/formats/tokenizer/tokenizer.ts';

const MODEL = new URL('../../../examples/demo-family/v1', import.meta.url).pathname;

async function prepare(rows: RowKind) {
  const { config } = await loadBaseModel(MODEL);
  return prepareWorkload({ rows, folder: MODEL, config, batchSize: 8, steps: 4, newTokens: 5 });
}

describe('the workload', () => {
  const padded = (batches: readonly WorkBatch[]) =>
    batches.reduce((total, { examples, longest }) => total + examples.length * longest, 0);

  it('has rows of unequal lengths, holds nothing but token ids, and counts no padding', async () => {
    const { training, evaluation } = await prepare('sst2');
    expect(training.unsorted.map(({ examples }) => examples.length)).toEqual([8, 8, 8, 8]);
    expect(evaluation.unsorted.map(({ examples }) => examples.length)).toEqual([16, 16]);
    for (const { examples, tokens, longest } of [...training.unsorted, ...evaluation.grouped]) {
      expect(Object.keys(examples[0]!)).toEqual(['tokenIds', 'labelSpans']);
      // Position t predicts token t + 1, so the last token of a row is not an input.
      const inputs = examples.map(({ tokenIds }) => tokenIds.slice(0, -1).length);
      expect(tokens).toBe(inputs.reduce((total, length) => total + length, 0));
      expect(longest).toBe(Math.max(...inputs));
    }
    const lengths = training.unsorted.flatMap(({ examples }) => examples.map(({ tokenIds }) => tokenIds.length));
    expect(new Set(lengths).size).toBeGreaterThan(4);
  });

  it('groups the very rows of the unsorted batches by length, so that little is padded', async () => {
    const { training, evaluation } = await prepare('sst2');
    for (const { grouped, unsorted } of [training, evaluation]) {
      const rowsOf = (batches: readonly WorkBatch[]) =>
        batches.flatMap(({ examples }) => examples.map((ids) => JSON.stringify(ids))).sort();
      expect(rowsOf(grouped)).toEqual(rowsOf(unsorted));
      const tokens = grouped.reduce((total, batch) => total + batch.tokens, 0);
      expect(padded(grouped) / tokens).toBeLessThan(1.1);
      expect(padded(unsorted) / tokens).toBeGreaterThan(1.2);
    }
  });

  it('has conversations of 200 to 500 tokens', async () => {
    const { training, evaluation } = await prepare('chat');
    const examples = [...training.unsorted, ...evaluation.unsorted].flatMap((batch) => batch.examples);
    for (const { tokenIds, labelSpans } of examples) {
      expect(tokenIds.length).toBeGreaterThanOrEqual(200);
      expect(tokenIds.length).toBeLessThanOrEqual(500);
      expect(labelSpans.length).toBeGreaterThan(1);
      expect(labelSpans.at(-1)![1]).toBe(tokenIds.length);
    }
  });
});

describe('the prompts of a workload', () => {
  it.each([
    ['sst2', /^Review: [^]*\nSentiment:$/],
    ['agnews', /^News: [^]*\nTopic:$/],
    ['chat', /\nUser: Go on with this story\. [^]*\nAssistant:$/],
  ] as const)('continues prompts of %s that end where the answer begins', async (rows, expected) => {
    const { generation } = await prepare(rows);
    const tokenizer = await loadTokenizer(MODEL);
    for (const { prompts, tokens, promptTokens, longest } of [...generation.grouped, ...generation.unsorted]) {
      for (const ids of prompts)
        expect(tokenizer.decode(ids, { skipSpecialTokens: true }).trimStart()).toMatch(expected);
      expect([prompts.length, tokens]).toEqual([16, 16 * 5]);
      const lengths = prompts.map(({ length }) => length);
      expect(promptTokens).toBe(lengths.reduce((total, length) => total + length, 0));
      expect(longest).toBe(Math.max(...lengths));
    }
  });

  it('groups the very prompts of the unsorted batches by length', async () => {
    const { grouped, unsorted } = (await prepare('sst2')).generation;
    const promptsOf = (batches: readonly PromptBatch[]) => batches.flatMap(({ prompts }) => prompts.map(String)).sort();
    expect(promptsOf(grouped)).toEqual(promptsOf(unsorted));
    const paddedTo = (batches: readonly PromptBatch[]) =>
      batches.reduce((total, { prompts, longest }) => total + prompts.length * longest, 0);
    expect(paddedTo(grouped)).toBeLessThan(paddedTo(unsorted));
  });
});

describe('the figures', () => {
  it('are compared within rounds, so that a round that is slow for both sides changes nothing', () => {
    expect(summarizeRatios([300, 30, 330], [100, 10, 100])).toEqual({ median: 3, least: 3, most: 3.3 });
    expect(() => summarizeRatios([1], [1, 2])).toThrow('1 rounds against 2');
  });

  it('include the share of equal tokens, place by place', () => {
    expect(
      shareOfEqual(
        [
          [1, 2, 3],
          [4, 5, 6],
        ],
        [
          [1, 3, 2],
          [4, 5, 6],
        ],
      ),
    ).toBeCloseTo(4 / 6);
    expect(() => shareOfEqual([[1, 2], [3]], [[1], [2, 3]])).toThrow('texts of 2, 1 tokens against 1, 2');
  });

  it('leave the first step out of the profile and tell matrix products from other operators', () => {
    const kernel = (operator: string, dur: number) => ({
      cat: 'Node',
      name: 'a_kernel_time',
      dur,
      args: { op_name: operator },
    });
    const run = (seconds: number) => [
      kernel('Gemm', seconds * 1e6),
      kernel('MatMulIntegerToFloat', 1e6),
      kernel('Mul', 2e6),
      { cat: 'Session', name: 'SequentialExecutor::Execute', dur: 8e6 },
      { cat: 'Session', name: 'model_run', dur: 9e6 },
    ];
    const loading = { cat: 'Session', name: 'model_loading_array', dur: 5e6 };
    const unused = [loading, { cat: 'Session', name: 'session_initialization', dur: 5e6 }];
    const expected = { operators: { Gemm: 3, MatMulIntegerToFloat: 1, Mul: 2 }, products: 4, graph: 9 };
    expect(sumRuns([unused, [loading, ...run(7), ...run(2), ...run(4)]], 2)).toEqual(expected);
    // A step of two micro-batches takes the sum of both.
    const twice = sumRuns([[7, 7, 2, 2, 4, 4].flatMap(run)], 2);
    expect(twice).toEqual({ operators: { Gemm: 6, MatMulIntegerToFloat: 2, Mul: 4 }, products: 8, graph: 18 });
  });
});

describe('the command', () => {
  it('explains its options', () => {
    let help = '';
    benchCommand()
      .configureOutput({ writeOut: (text) => (help += text) })
      .outputHelp();
    for (const word of [
      '--model',
      '--readapt',
      '--rows',
      '--batch',
      '--rounds',
      '--steps',
      '--new-tokens',
      '--json',
      '--from',
      '--no-python',
      '--no-docs',
    ]) {
      expect(help).toContain(word);
    }
    expect(help).toContain('READAPT_INTEROP_VENV');
    expect(help.replace(/\s+/g, ' ')).toContain('training, evaluation and greedy generation');
  });

  it.each([
    ['--rounds', '0', 'expected a positive integer, found "0"'],
    ['--new-tokens', '1.5', 'expected a positive integer, found "1.5"'],
    ['--batch', '8,16', 'expected a positive integer, found "8,16"'],
    ['--rows', 'sst2,books', 'expected sst2, agnews, chat, found "books"'],
    ['--readapt', 'f32,int4', 'expected auto, f32, int8, found "int4"'],
  ])('refuses %s %s', (option, value, message) => {
    const command = benchCommand()
      .exitOverride()
      .configureOutput({ writeErr: () => {} });
    expect(() => command.parse([option, value], { from: 'user' })).toThrow(message);
  });
});
