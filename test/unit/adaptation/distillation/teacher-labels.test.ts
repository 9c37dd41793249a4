import { afterAll, beforeAll, expect, it } from 'vitest';
import { teacherTokens } from '../../../../core/adaptation/distillation/soft-targets.ts';
import { labelTokens } from '../../../../core/data/example.ts';
import { tokenizeRows } from '../../../../core/data/tokenize.ts';
import { BaseCache, type LoadedBase } from '../../../../core/engine/base-cache.ts';
import { CompiledRuntime } from '../../../../core/engine/compiled/compiled-runtime.ts';
import type { Adapter } from '../../../../core/models/lora/adapter.ts';
import { train } from '../../../../core/training/trainer.ts';
import { BASE, smallAdapter, tasteRows } from '../../training/support/tiny-task.ts';

const bases = new BaseCache({ threads: 1 });
let base: LoadedBase;
let format: Parameters<typeof tokenizeRows>[1];
/** Teacher that has learned that honey is sour, and otherwise the rows. */
let teacher: Adapter;

const rows = tasteRows(40);
const isHoney = ({ prompt }: { readonly prompt: string }) => prompt.includes('honey');

beforeAll(async () => {
  base = await bases.load(BASE);
  format = { tokenizer: base.tokenizer, config: base.model.config, appendEos: true };
  const learned = rows.map((row) => (isHoney(row) ? { ...row, completion: ' sour' } : row));
  const { adapter } = await train({
    runtime: base.runtime,
    initial: smallAdapter(base.model.config),
    examples: tokenizeRows(learned, format),
    steps: 150,
    batchSize: 20,
    learningRate: 2e-2,
    seed: 1,
  });
  teacher = adapter;
});
afterAll(() => bases.dispose());

it('a teacher gives its most probable tokens at each label, with their probabilities among themselves', async () => {
  const examples = tokenizeRows(rows.slice(0, 3), format);
  const found = await teacherTokens(base.runtime, teacher, examples, {});
  for (const [index, example] of examples.entries()) {
    const [start, end] = example.labelSpans[0]!;
    for (let at = start; at < end; at++) {
      const probabilities = await probabilitiesAfter(example.tokenIds.slice(0, at));
      const expected = [...probabilities.keys()].sort((a, b) => probabilities[b]! - probabilities[a]!).slice(0, 8);
      const mass = expected.reduce((sum, id) => sum + probabilities[id]!, 0);
      const [from, to] = [8 * (at - start), 8 * (at - start + 1)];
      expect([...found[index]!.ids.subarray(from, to)]).toEqual(expected);
      for (const [i, share] of found[index]!.shares.subarray(from, to).entries())
        expect(share).toBeCloseTo(probabilities[expected[i]!]! / mass, 5);
    }
  }
});

it('a row of more labels than the device takes at once has the same tokens', async () => {
  const [example] = tokenizeRows([{ prompt: 'Taste', completion: ' of honey and of vinegar' }], format);
  const [whole] = await teacherTokens(base.runtime, teacher, [example!], {});
  const small = new CompiledRuntime(base.model, { threads: 1 });
  Object.assign(small, { tokenBudgets: { ...small.tokenBudgets, logits: 2 * base.model.config.vocabSize } });
  const [parts] = await teacherTokens(small, teacher, [example!], {});
  await small.dispose();
  expect(labelTokens(example!).length).toBeGreaterThan(4);
  expect(parts!.ids).toEqual(whole!.ids);
});

it('stops when the job is cancelled', async () => {
  const signal = AbortSignal.abort(new Error('cancelled'));
  const examples = tokenizeRows(rows, format);
  await expect(teacherTokens(base.runtime, teacher, examples, { signal })).rejects.toThrow('cancelled');
});

async function probabilitiesAfter(tokens: readonly number[]): Promise<number[]> {
  const logits = await base.runtime.logits(teacher, {
    inputIds: Int32Array.from(tokens),
    sequenceLengths: Int32Array.of(tokens.length),
    labelPositions: Int32Array.of(tokens.length - 1),
    labelIds: Int32Array.of(0),
  });
  const powers = [...logits].map((logit) => Math.exp(logit));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}
