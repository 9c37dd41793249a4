import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Side } from '../../bench/engine/sides/side.ts';
import { workBatch } from '../../bench/engine/workload.ts';
import { exampleOf } from '../../../core/data/example.ts';
import { createRuntime } from '../../../core/engine/create-runtime.ts';
import { generateGreedily } from '../../../core/engine/generation/greedy.ts';
import { loadBaseModel } from '../../../core/formats/hugging-face/hugging-face-model.ts';
import { randomExamples } from '../../../test/interop/support/cases.ts';

const GOLDEN = new URL('../../../test/fixtures/golden/llama-gqa-tied/', import.meta.url).pathname;

const batches = [1, 2, 3].map((seed) => {
  return workBatch(
    randomExamples(4, 64, seed).map((ids) =>
      exampleOf(ids.promptIds, ids.completionIds, { prompt: '', completion: '' }),
    ),
  );
});

// The benchmark is fair only if both sides do the same work.
describe("the benchmark's sides", () => {
  let folder: string;
  let ours: Side;
  let theirs: Side;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'readapt-bench-'));
    const base = path.join(folder, 'base');
    await cp(`${GOLDEN}base`, base, { recursive: true });
    // Every second token ends a text, so that a side which heeds the end generates fewer or other tokens.
    const config = JSON.parse(await readFile(path.join(base, 'config.json'), 'utf8')) as { vocab_size: number };
    const ends = Array.from({ length: config.vocab_size / 2 }, (_, i) => 2 * i);
    await writeFile(path.join(base, 'generation_config.json'), JSON.stringify({ eos_token_id: ends }));
    ours = new Side('readapt-f32');
    theirs = new Side('torch-f32', { python: process.env.READAPT_INTEROP_PYTHON || '.venv/bin/python' });
    const adapter = `${GOLDEN}adapter`;
    const params = { base, adapter, generation_adapter: adapter, threads: 1, learning_rate: 1e-3 };
    await Promise.all([ours.call('load', params), theirs.call('load', params)]);
  });
  afterAll(async () => {
    await Promise.all([ours?.stop(), theirs?.stop()]);
    await rm(folder, { recursive: true, force: true });
  });

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

  it('continue prompts by the same tokens, however the trained adapter has changed', async () => {
    const prompts = randomExamples(6, 64, 9).map(({ promptIds }) => promptIds);
    const [{ examples }] = batches as [(typeof batches)[number]];
    for (const side of [ours, theirs]) {
      const before = await side.call('generate', { prompts, new_tokens: 20 });
      expect(before.tokenIds.map(({ length }) => length)).toEqual(prompts.map(() => 20));
      expect(before.tokens).toBe(6 * 20);
      // Training continues from its own adapter and does not change the one for generation.
      const { loss } = await side.call('evaluate', { examples });
      expect((await side.call('step', { examples })).loss).toBeCloseTo(loss, 5);
      expect((await side.call('evaluate', { examples })).loss).toBeLessThan(loss);
      expect((await side.call('generate', { prompts, new_tokens: 20 })).tokenIds).toEqual(before.tokenIds);
    }
    const [a, b] = [ours, theirs].map((side) => side.call('generate', { prompts, new_tokens: 20 }));
    expect((await a!).tokenIds).toEqual((await b!).tokenIds);
    const runtime = createRuntime({ base: await loadBaseModel(`${GOLDEN}base`), threads: 1 });
    const requests = prompts.map((promptIds) => ({ promptIds, maxNewTokens: 20 }));
    const withoutAdapter = await generateGreedily(runtime, null, requests, { endIds: new Set() });
    await runtime.dispose();
    expect((await a!).tokenIds).not.toEqual(withoutAdapter.map(({ tokenIds }) => tokenIds));
  });
});
