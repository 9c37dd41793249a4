import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GradientResult, Runtime } from '../../../core/engine/runtime.ts';
import { factorArrays } from '../../../core/training/optimizer/factors.ts';
import type { Adapter } from '../../../core/models/lora/adapter.ts';
import { createAdapter } from '../../../core/models/lora/lora-init.ts';
import type { TokenizedExample } from '../../../core/data/example.ts';
import { DEFAULT_REGULARIZATION, l2Coefficient } from '../../../core/method/regularization/regularization.ts';
import { accumulateGradients } from '../../../core/training/gradients.ts';
import { inputLength, makeBatch } from '../../../core/data/batching.ts';
import { TrainingDivergedError } from '../../../core/training/loss-monitor.ts';
import { BaseCache, type LoadedBase } from '../../../core/engine/base-cache.ts';
import { tokenizeRows } from '../../../core/data/tokenize.ts';
import { decodeTrainerState, encodeTrainerState, type TrainerState } from '../../../core/training/trainer-state.ts';
import { train, type TrainOptions } from '../../../core/training/trainer.ts';
import { BASE, smallAdapter, tasteRows } from './support/tiny-task.ts';

let bases: BaseCache;
let base: LoadedBase;
let examples: TokenizedExample[];
let common: TrainOptions;

beforeAll(async () => {
  bases = new BaseCache({ threads: 1 });
  base = await bases.load(BASE);
  examples = tokenizeRows(tasteRows(64), { tokenizer: base.tokenizer, config: base.model.config });
  const initial = smallAdapter(base.model.config);
  common = { runtime: base.runtime, initial, examples, steps: 30, batchSize: 8, learningRate: 5e-3, seed: 3 };
});

afterAll(() => bases.dispose());

function maxDifference(a: Adapter['modules'] | GradientResult['gradients'], b: typeof a): number {
  const other = factorArrays(b);
  let largest = 0;
  for (const [name, values] of factorArrays(a)) {
    values.forEach((value, i) => (largest = Math.max(largest, Math.abs(value - other.get(name)![i]!))));
  }
  return largest;
}

describe('train', () => {
  it('learns a small task and reports the number of tokens', async () => {
    const losses: number[] = [];
    const result = await train({ ...common, afterStep: ({ loss }) => (losses.push(loss), 'continue') });
    expect(result.steps).toBe(30);
    expect(losses.at(-1)).toBeLessThan(0.3 * losses[0]!);
    expect(result.trainLoss).toBeCloseTo(losses.slice(-20).reduce((a, b) => a + b) / 20, 10);
    const perExample = examples.map(({ tokenIds }) => tokenIds.length - 1);
    const mean = perExample.reduce((a, b) => a + b) / perExample.length;
    expect(result.tokens / (30 * 8 * mean)).toBeCloseTo(1, 1);
  });

  it('trains the magnitudes of DoRA, with and without micro-batches', async () => {
    const { config, weights } = base.model;
    const initial = createAdapter({ ...common.initial.config, base: config, weights, useDora: true, seed: 1 });
    const losses: number[] = [];
    const afterStep: TrainOptions['afterStep'] = ({ loss }) => (losses.push(loss), 'continue');
    const { adapter } = await train({ ...common, initial, afterStep });
    expect(losses.at(-1)).toBeLessThan(0.3 * losses[0]!);
    for (const [name, { magnitude }] of adapter.modules) {
      const start = initial.modules.get(name)!.magnitude!;
      expect(Math.hypot(...magnitude!.map((value, i) => value - start[i]!)), name).toBeGreaterThan(0.01);
    }
    const whole = await accumulateGradients(base.runtime, adapter, examples.slice(0, 8));
    const parts = await accumulateGradients(base.runtime, adapter, examples.slice(0, 8), { microBatchTokens: 60 });
    expect(maxDifference(whole.gradients, parts.gradients)).toBeLessThan(1e-5);
  });

  it('does not change the initial adapter', async () => {
    const before = structuredClone(common.initial.modules);
    await train({ ...common, steps: 2 });
    expect(maxDifference(common.initial.modules, before)).toBe(0);
  });

  it('warms up, then follows a cosine to zero', async () => {
    const rates: number[] = [];
    const afterStep: TrainOptions['afterStep'] = ({ learningRate }) => (rates.push(learningRate), 'continue');
    await train({ ...common, steps: 6, warmupSteps: 2, learningRate: 1e-3, afterStep });
    [0.5e-3, 1e-3, 1e-3, 0.5e-3 * (1 + Math.SQRT1_2), 0.5e-3, 0.5e-3 * (1 - Math.SQRT1_2)].forEach((rate, i) => {
      expect(rates[i]).toBeCloseTo(rate, 12);
    });
  });

  it('tells the coefficient of the regularization of each step', async () => {
    const regularization = { ...DEFAULT_REGULARIZATION, strong: 0.5 };
    const told: number[] = [];
    const afterStep: TrainOptions['afterStep'] = (report) => (told.push(report.regularization), 'continue');
    await train({ ...common, steps: 10, regularization, afterStep });
    expect(told).toEqual(Array.from({ length: 10 }, (_, step) => l2Coefficient(regularization, step, 10)));
    expect([told[0], told.at(-1)]).toEqual([0.5, 0]);
  });

  it('is held near the initial adapter by regularization towards it', async () => {
    const strong = { ...DEFAULT_REGULARIZATION, strong: 50, relaxed: 50 };
    const free = await train({ ...common, steps: 10 });
    const held = await train({ ...common, steps: 10, regularization: strong });
    const distance = (adapter: Adapter): number => maxDifference(adapter.modules, common.initial.modules);
    expect(distance(held.adapter)).toBeLessThan(0.8 * distance(free.adapter));
  });

  it.each([0, 0.2])('continues from a saved state to the same bits, with dropout %d', async (dropout) => {
    const initial = { ...common.initial, config: { ...common.initial.config, dropout } };
    let saved: TrainerState | undefined;
    const afterStep: TrainOptions['afterStep'] = ({ step, state }) => {
      if (step === 13) saved = structuredClone(state);
      return 'continue';
    };
    const whole = await train({ ...common, initial, afterStep });
    const checkpoint = encodeTrainerState(saved!);
    const stored = { state: JSON.parse(JSON.stringify(checkpoint.state)) as unknown, tensors: checkpoint.tensors };
    const names = [...factorArrays(common.initial.modules).keys()];
    const resumed = await train({ ...common, initial, resume: decodeTrainerState(stored, names) });
    expect(resumed.steps).toBe(30);
    expect(resumed.trainLoss).toBe(whole.trainLoss);
    expect(maxDifference(resumed.adapter.modules, whole.adapter.modules)).toBe(0);
  });

  it('stops between two micro-batches when it is aborted', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    let calls = 0;
    const runtime: Runtime = new Proxy(base.runtime, {
      get: (target, name: keyof Runtime) => {
        if (name !== 'gradients') return target[name];
        return async (...args: Parameters<Runtime['gradients']>) => {
          if (++calls === 3) controller.abort(reason);
          return target.gradients(...args);
        };
      },
    });
    await expect(train({ ...common, runtime, microBatchTokens: 60, signal: controller.signal })).rejects.toBe(reason);
    expect(calls).toBe(3);
  });

  it('ends when afterStep returns stop', async () => {
    const result = await train({ ...common, afterStep: ({ step }) => (step === 4 ? 'stop' : 'continue') });
    expect(result.steps).toBe(4);
  });

  it.each([
    ['is not a number', () => NaN, 1, /step 1: the loss is NaN; the learning rate was 0\.0025/],
    [
      'explodes',
      (call: number) => (call <= 10 ? 20 : 20 * call),
      18,
      /step 18: the loss rose from 0\.\d+ to 9\.\d+; the learning rate was 0\.0022/,
    ],
  ])('stops when the loss %s, and names step and learning rate', async (_, lossSum, step, message) => {
    let calls = 0;
    const gradients = (await base.runtime.gradients(common.initial, await firstBatch(), 1)).gradients;
    const runtime = {
      ...base.runtime,
      base: base.model,
      gradients: async () => ({ lossSum: lossSum(++calls), gradients: structuredClone(gradients) }),
    } as Runtime;
    const failure = await train({ ...common, runtime }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(TrainingDivergedError);
    expect((failure as Error).message).toMatch(message);
    expect((failure as TrainingDivergedError).step).toBe(step);
  });
});

async function firstBatch() {
  return makeBatch(examples.slice(0, 2));
}

describe('accumulateGradients', () => {
  it('gives the same result for small micro-batches as for a single one', async () => {
    const whole = await accumulateGradients(base.runtime, common.initial, examples.slice(0, 8));
    const options = { microBatchTokens: 1 + Math.max(...examples.slice(0, 8).map(inputLength)) };
    const halves = await accumulateGradients(base.runtime, common.initial, examples.slice(0, 8), options);
    expect(halves.loss).toBeCloseTo(whole.loss, 6);
    expect(halves.tokens).toBe(whole.tokens);
    expect(maxDifference(halves.gradients, whole.gradients)).toBeLessThan(1e-5);
    expect([...factorArrays(whole.gradients).values()].some((values) => values.some((v) => Math.abs(v) > 1e-3))).toBe(
      true,
    );
  });

  it('cuts a batch whose logits would take too much memory, without changing the result', async () => {
    const members = examples.slice(0, 8);
    const whole = await accumulateGradients(base.runtime, common.initial, members);
    const labels: number[] = [];
    // 8 labels fit into 2 ** 24 logits.
    const runtime = {
      base: { ...base.model, config: { ...base.model.config, vocabSize: 2 ** 21 } },
      tokenBudgets: base.runtime.tokenBudgets,
      gradients: (...args: Parameters<Runtime['gradients']>) => {
        labels.push(args[1].labelPositions.length);
        return base.runtime.gradients(...args);
      },
    } as Runtime;
    const parts = await accumulateGradients(runtime, common.initial, members);
    expect(labels.length).toBeGreaterThan(1);
    expect(Math.max(...labels)).toBeLessThanOrEqual(8);
    expect(parts.loss).toBeCloseTo(whole.loss, 5);
    expect(maxDifference(parts.gradients, whole.gradients)).toBeLessThan(1e-5);
  });

  it('averages over completion tokens', async () => {
    const { labelLosses } = await lossesOf(examples.slice(0, 8));
    const { loss } = await accumulateGradients(base.runtime, common.initial, examples.slice(0, 8));
    expect(loss).toBeCloseTo(labelLosses.reduce((a, b) => a + b) / labelLosses.length, 5);
  });
});

async function lossesOf(list: TokenizedExample[]) {
  const batch = makeBatch(list);
  const losses = await base.runtime.labelLosses(common.initial, batch);
  return { labelLosses: [...losses] };
}
