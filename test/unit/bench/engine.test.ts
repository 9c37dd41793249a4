import { describe, expect, it } from 'vitest';
import { withSection } from '../../../bench/engine/report.ts';
import { describeBatch } from '../../../bench/engine/rows.ts';
import { benchCommand } from '../../../bench/engine/options.ts';
import { sumByOperator } from '../../../bench/engine/profile.ts';
import { summariseRatios } from '../../../bench/engine/statistics.ts';
import { prepareWorkload } from '../../../bench/engine/workload.ts';
import { loadBaseModel } from '../../../workers/formats/hugging-face-model.ts';
import { makeBatch } from '../../../workers/training/batching.ts';

const MODEL = new URL('../../../examples/demo-family/v1', import.meta.url).pathname;

describe('the workload', () => {
  it('gives the engine every token and label of the ids that PyTorch gets, and counts no padding', async () => {
    const { config } = await loadBaseModel(MODEL);
    const { training, evaluation } = await prepareWorkload({ folder: MODEL, config, batchSize: 8, steps: 4 });
    expect(training.map(({ examples }) => examples.length)).toEqual([8, 8, 8, 8]);
    expect(evaluation.map(({ examples }) => examples.length)).toEqual([32, 32]);
    for (const { examples, tokens } of [...training, ...evaluation]) {
      const rows = describeBatch(makeBatch(examples.map((ids) => ({ ...ids, row: { prompt: '', completion: '' } }))));
      // As python/torch_side.py: labels are the whole sequence with the prompt left out, and position t predicts t + 1.
      const expected = examples.map(({ promptIds, completionIds }) => {
        const sequence = [...promptIds, ...completionIds];
        const labels = sequence.flatMap((id, at) => (at < promptIds.length ? [] : [[at - 1, id]]));
        return { tokens: sequence.slice(0, -1), labels };
      });
      expect(rows).toEqual(expected);
      expect(tokens).toBe(rows.reduce((total, row) => total + row.tokens.length, 0));
    }
    const lengths = new Set(training.flatMap(({ examples }) => examples.map(({ promptIds }) => promptIds.length)));
    expect(lengths.size).toBeGreaterThan(4);
  });
});

describe('the figures', () => {
  it('compares within rounds, so that a slow round of both changes nothing', () => {
    expect(summariseRatios([300, 30, 330], [100, 10, 100])).toEqual({ median: 3, least: 3, most: 3.3 });
    expect(() => summariseRatios([1], [1, 2])).toThrow('1 rounds against 2');
  });

  it('leaves the first run out of the profile and everything that is no kernel', () => {
    const run = (micros: number) => [
      { cat: 'Node', name: 'a_kernel_time', dur: micros, args: { op_name: 'MatMul' } },
      { cat: 'Node', name: 'b_kernel_time', dur: 1e6, args: { op_name: 'Mul' } },
      { cat: 'Session', name: 'model_run', dur: 9e6 },
    ];
    expect(sumByOperator([...run(7e6), ...run(2e6), ...run(4e6)], 2)).toEqual({ MatMul: 3, Mul: 1 });
  });
});

describe('the command', () => {
  it('explains itself', () => {
    expect(benchCommand().helpInformation()).toMatch(/--model[^]*--rounds[^]*--steps[^]*--batch[^]*--json[^]*--help/);
  });

  it.each([
    ['--rounds', '0'],
    ['--batch', '8,x'],
  ])('refuses %s %s', (...args) => {
    const command = benchCommand().exitOverride().configureOutput({ writeErr: () => {} });
    expect(() => command.parse(args, { from: 'user' })).toThrow('expected a positive integer');
  });

  it('replaces one section of the page and keeps the rest', () => {
    const page = 'a\n<!-- bench:engine demo -->\nold\n<!-- /bench:engine demo -->\nb\n';
    expect(withSection(page, 'demo', 'new')).toBe('a\n<!-- bench:engine demo -->\nnew\n<!-- /bench:engine demo -->\nb\n');
    expect(() => withSection(page, 'other', 'new')).toThrow('no markers');
  });
});
