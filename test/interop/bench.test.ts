import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Side } from '../../bench/engine/sides/side.ts';
import { workBatch } from '../../bench/engine/workload.ts';
import { randomExamples } from './support/cases.ts';

const GOLDEN = new URL('../fixtures/golden/llama-gqa-tied/', import.meta.url).pathname;

/** The benchmark is fair only if both sides do the same work. */
describe("the benchmark's sides", () => {
  const batches = [1, 2, 3].map((seed) => {
    return workBatch(randomExamples(4, 64, seed));
  });
  let ours: Side;
  let theirs: Side;

  beforeAll(async () => {
    ours = new Side('readapt-f32');
    theirs = new Side('torch-f32', { python: process.env.READAPT_INTEROP_PYTHON || '.venv/bin/python' });
    const params = { base: `${GOLDEN}base`, adapter: `${GOLDEN}adapter`, threads: 1, learning_rate: 1e-3 };
    await Promise.all([ours.call('load', params), theirs.call('load', params)]);
  });
  afterAll(() => Promise.all([ours?.stop(), theirs?.stop()]));

  it('take the same steps over the same tokens', async () => {
    const first = await ours.call('evaluate', { examples: batches[0]!.examples });
    for (const { examples, tokens } of [...batches, ...batches]) {
      const [a, b] = [await ours.call('step', { examples }), await theirs.call('step', { examples })];
      expect([a.tokens, b.tokens]).toEqual([tokens, tokens]);
      expect(Math.abs(a.loss - b.loss)).toBeLessThan(1e-4);
    }
    const { examples } = batches[0]!;
    const [a, b] = [await ours.call('evaluate', { examples }), await theirs.call('evaluate', { examples })];
    expect(Math.abs(a.loss - b.loss)).toBeLessThan(1e-4);
    expect(a.loss).toBeLessThan(first.loss);
  });
});
