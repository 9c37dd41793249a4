import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadDataset } from '../../../core/data/dataset.ts';
import { meanLoss } from '../../../core/data/evaluation/measure.ts';
import type { TokenizedExample } from '../../../core/data/example.ts';
import { tokenizeRows } from '../../../core/data/tokenize.ts';
import { BaseCache, type LoadedBase } from '../../../core/engine/base-cache.ts';
import type { Runtime } from '../../../core/engine/runtime.ts';
import type { Adapter } from '../../../core/models/lora/adapter.ts';
import { createAdapter } from '../../../core/models/lora/lora-init.ts';
import { train } from '../../../core/training/trainer.ts';

const FAMILY = path.join(import.meta.dirname, '../../../examples/demo-family');
const STEPS = 12;

let bases: BaseCache;
let base: LoadedBase;

beforeAll(async () => {
  bases = new BaseCache({ precision: 'int8', threads: 2 });
  base = await bases.load(path.join(FAMILY, 'v1'));
});
afterAll(() => bases.dispose());

async function rowsOf(task: string, file: string, count: number): Promise<TokenizedExample[]> {
  const rows = await loadDataset(path.join(FAMILY, 'data', task, file));
  return tokenizeRows(rows.slice(0, count), { tokenizer: base.tokenizer, config: base.model.config });
}

it.each(['sst2', 'agnews'])(
  'in 8 bits on a trained base learns %s as well as in float32, step by step',
  async (task) => {
    const [examples, held] = [await rowsOf(task, 'train.jsonl', 200), await rowsOf(task, 'test.jsonl', 64)];
    const { config } = base.model;
    const initial = createAdapter({ base: config, targetModules: 'all-linear', rank: 8, alpha: 16, seed: 1 });
    const trained = async (runtime: Runtime) => {
      const losses: number[] = [];
      const { adapter } = await train({
        runtime,
        initial,
        examples,
        steps: STEPS,
        batchSize: 8,
        learningRate: 4e-3,
        seed: 3,
        afterStep: ({ loss }) => (losses.push(loss), Promise.resolve('continue')),
      });
      return { adapter, losses };
    };
    const int8 = await trained(base.runtime);
    const result = await bases.withFloat32(base, async (exact) => {
      const float32 = await trained(exact);
      const lossOf = async (adapter: Adapter) => (await meanLoss(exact, adapter, held)).value;
      return {
        float32,
        before: await lossOf(initial),
        losses: [await lossOf(int8.adapter), await lossOf(float32.adapter)],
      };
    });
    const { float32, before, losses } = result!;
    const [afterInt8, afterFloat32] = losses as [number, number];
    expect(afterFloat32).toBeLessThan(0.5 * before);
    // Gain of training on other rows, judged in float32 for both.
    expect(Math.abs(afterInt8 - afterFloat32)).toBeLessThan(0.03 * (before - afterFloat32));
    const distances = int8.losses.map((loss, step) => Math.abs(loss - float32.losses[step]!));
    const mean = (values: readonly number[]) => values.reduce((total, value) => total + value, 0) / values.length;
    expect(mean(distances)).toBeLessThan(0.015 * mean(float32.losses));
    expect(mean(distances)).toBeGreaterThan(0);
  },
);
