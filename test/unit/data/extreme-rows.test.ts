import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRuntime } from '../../../core/engine/create-runtime.ts';
import { factorArrays, withFactorArrays } from '../../../core/training/optimizer/factors.ts';
import type { Runtime } from '../../../core/engine/runtime.ts';
import { Random } from '../../../core/statistics/random.ts';
import { meanLoss } from '../../../core/data/evaluation/measure.ts';
import { exampleOf, labelCount, promptTokens, type TokenizedExample } from '../../../core/data/example.ts';
import { accumulateGradients, MICRO_BATCH_TOKENS } from '../../../core/training/gradients.ts';
import { BaseCache, type LoadedBase } from '../../../core/engine/base-cache.ts';
import { fullLength } from '../../../core/data/lengths.ts';
import { tokenizeRows } from '../../../core/data/tokenize.ts';
import { largestDifference, relativeError, sum } from '../engine/support/numeric.ts';
import { everyModule } from '../engine/support/variations.ts';
import { randomAdapter, randomBase } from '../engine/support/random-model.ts';
import { BASE } from '../training/support/tiny-task.ts';

/** Makes an example of random tokens from a vocabulary of 50. */
function row(prompt: number, completion: number, seed = prompt): TokenizedExample {
  const random = Random.fromSeed(seed);
  const ids = (length: number) => Array.from({ length }, () => random.integer(50));
  return exampleOf(ids(prompt), ids(completion), { prompt: '', completion: '' });
}

const LONG = row(MICRO_BATCH_TOKENS + 20, 4);

describe('a row longer than a micro-batch, among short ones', () => {
  const base = randomBase();
  const adapter = randomAdapter(base, everyModule);
  const runtimes: Record<'compiled' | 'eager', Runtime> = {
    compiled: createRuntime({ base }),
    eager: createRuntime({ device: 'tfjs-cpu', base }),
  };
  const rows = [row(3, 1), LONG, row(40, 2), row(1, 1)];
  afterAll(() => Promise.all(Object.values(runtimes).map((runtime) => runtime.dispose())));

  it('has the loss that the reference gives, and so have the others', async () => {
    const found = await meanLoss(runtimes.compiled, adapter, rows);
    const alone: number[] = [];
    for (const each of rows) alone.push((await meanLoss(runtimes.eager, adapter, [each])).perExample[0]!);
    expect(largestDifference(found.perExample, alone)).toBeLessThan(1e-4);
    expect(found.tokens).toBe(3 + MICRO_BATCH_TOKENS + 23 + 41 + 1);
  });

  it('adds its gradients to those of the others', async () => {
    const { compiled } = runtimes;
    const together = await accumulateGradients(compiled, adapter, rows);
    const labels = sum(rows.map(labelCount));
    const total = new Map<string, Float64Array>();
    for (const each of rows) {
      const { gradients } = await accumulateGradients(compiled, adapter, [each]);
      for (const [name, values] of factorArrays(gradients)) {
        const into = total.get(name) ?? new Float64Array(values.length);
        total.set(
          name,
          into.map((value, i) => value + (values[i]! * labelCount(each)) / labels),
        );
      }
    }
    for (const [name, values] of factorArrays(together.gradients)) {
      expect(relativeError(values, total.get(name)!), name).toBeLessThan(1e-4);
    }
  });
});

describe('completions of one token', () => {
  const base = randomBase();
  const runtime = createRuntime({ base });
  afterAll(() => runtime.dispose());

  it.each([1, 6])('have the loss −log p after a prompt of %i tokens', async (length) => {
    const example = row(length, 1);
    const { value, tokens } = await meanLoss(runtime, null, [example]);
    const every = Array.from({ length: 50 }, (_, id) => exampleOf(promptTokens(example), [id], example.row));
    const { perExample } = await meanLoss(runtime, null, every);
    expect(sum(perExample.map((loss) => Math.exp(-loss)))).toBeCloseTo(1, 5);
    expect(value).toBeCloseTo(perExample[example.tokenIds.at(-1)!]!, 5);
    expect(tokens).toBe(length);
  });

  it('have gradients that predict how much a small step lowers the loss', async () => {
    const adapter = randomAdapter(base, everyModule);
    const rows = [row(5, 1), row(1, 1)];
    const { loss, gradients } = await accumulateGradients(runtime, adapter, rows);
    const arrays = factorArrays(gradients);
    const slope = Math.sqrt(sum([...arrays.values()].map((values) => sum(values.map((value) => value ** 2)))));
    const step = 0.01 / slope;
    const moved = new Map(
      [...factorArrays(adapter.modules)].map(([name, values]) => {
        return [name, values.map((value, i) => value - step * arrays.get(name)![i]!)] as const;
      }),
    );
    const after = await meanLoss(runtime, withFactorArrays(adapter, moved), rows);
    expect((loss - after.value) / (0.01 * slope)).toBeCloseTo(1, 1);
  });
});

const completionOf = (each: TokenizedExample) => each.tokenIds.slice(promptTokens(each).length);

describe('texts longer than the model accepts', () => {
  let bases: BaseCache;
  let base: LoadedBase;
  beforeAll(async () => {
    bases = new BaseCache({ threads: 1 });
    base = await bases.load(BASE);
  });
  afterAll(() => bases.dispose());

  const prompt = Array.from({ length: 900 }, (_, i) => `word ${i}`).join(' ');
  const rows = [' yes', ' no', ' perhaps not'].map((completion) => ({ prompt: `${prompt}${completion}?`, completion }));
  const lengths = (examples: readonly TokenizedExample[]) => examples.map(({ tokenIds }) => tokenIds.length);

  it("lose the oldest tokens of their prompts, down to the model's length, the given one, or 2,048", () => {
    const {
      tokenizer,
      model: { config },
    } = base;
    expect(config.maxPositionEmbeddings).toBe(128);
    expect(lengths(tokenizeRows(rows, { tokenizer, config }))).toEqual([128, 128, 128]);
    expect(lengths(tokenizeRows(rows, { tokenizer, config, maxLength: 50 }))).toEqual([50, 50, 50]);
    const longer = { ...config, maxPositionEmbeddings: 4096 };
    expect(lengths(tokenizeRows(rows, { tokenizer, config: longer }))).toEqual([2048, 2048, 2048]);
    const [cut, whole] = [50, 4096].map((maxLength) => tokenizeRows(rows, { tokenizer, config: longer, maxLength }));
    cut!.forEach((example, i) => {
      expect(completionOf(example)).toEqual(completionOf(whole![i]!));
      const prompt = promptTokens(example);
      expect(prompt.slice(1)).toEqual(promptTokens(whole![i]!).slice(1 - prompt.length));
      expect(example.cut).toEqual({ tokens: fullLength(whole![i]!) - 50, turns: 0 });
    });
  });
});
