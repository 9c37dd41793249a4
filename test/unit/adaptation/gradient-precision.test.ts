import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { GradientPrecision } from '../../../core/adaptation/setup/gradient-precision.ts';
import { objectionToLosses } from '../../../core/adaptation/setup/job-precision.ts';
import { tokenizeRows } from '../../../core/data/tokenize.ts';
import { BaseCache } from '../../../core/engine/base-cache.ts';
import type { BaseModel } from '../../../core/models/base-model.ts';
import type { Adapter } from '../../../core/models/lora/adapter.ts';
import { createAdapter } from '../../../core/models/lora/lora-init.ts';
import { Random } from '../../../core/statistics/random.ts';
import { saveRandomBase } from '../engine/support/saved-base.ts';
import { tasteRows } from '../training/support/tiny-task.ts';

/** Config wide enough for separate matrix products. */
const WIDE = { vocabSize: 512, hiddenSize: 512, intermediateSize: 512, numHeads: 8, numKeyValueHeads: 8, headDim: 64 };

let folder: string;
let bases: BaseCache;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'readapt-gradients-'));
  await saveRandomBase(path.join(folder, 'even'), WIDE);
  await saveRandomBase(path.join(folder, 'uneven'), WIDE, makeUneven);
});
afterAll(() => rm(folder, { recursive: true }));
beforeEach(() => void (bases = new BaseCache({ precision: 'int8', threads: 1 })));
afterEach(() => bases.dispose());

/**
 * Scales one row of v and of up by 512, and the column that meets it by its inverse, which changes nothing. In forward
 * passes each row has a scale of its own; in backward passes that row leaves the others no levels.
 */
function makeUneven(weights: BaseModel['weights']): void {
  for (const layer of [0, 1]) {
    for (const [into, out] of [
      ['self_attn.v_proj', 'self_attn.o_proj'],
      ['mlp.up_proj', 'mlp.down_proj'],
    ]) {
      const [rows, columns] = [into, out].map((name) => weights.get(`model.layers.${layer}.${name}.weight`)!);
      for (let i = 0; i < 512; i++) rows!.data[i]! *= 512;
      for (let i = 0; i < 512; i++) columns!.data[i * columns!.shape[1]!]! /= 512;
    }
  }
}

async function judged(name: string, adapterOf: (base: BaseModel) => Adapter) {
  const base = await bases.load(path.join(folder, name));
  const rows = tokenizeRows(tasteRows(16), { tokenizer: base.tokenizer, config: base.model.config });
  const adapter = adapterOf(base.model);
  const warnings: string[] = [];
  const newBase = { loaded: base };
  const gradients = new GradientPrecision({ bases, newBase, rows, warn: (message) => warnings.push(message) });
  const runtime = await gradients.use(adapter, 'carried', (used) => Promise.resolve(used));
  return { base, rows, adapter, warnings, runtime, gradients };
}

const fresh = ({ config }: BaseModel): Adapter =>
  createAdapter({ base: config, targetModules: 'all-linear', rank: 8, alpha: 16, seed: 1 });

/** Adapter whose B is small beside the base's weights. */
function carried(base: BaseModel): Adapter {
  const random = Random.fromSeed(1);
  const adapter = fresh(base);
  const modules = [...adapter.modules].map(([name, factors]) => {
    return [name, { ...factors, b: factors.b.map(() => 0.02 * random.uniform() - 0.01) }] as const;
  });
  return { ...adapter, modules: new Map(modules) };
}

it.each([
  ['that was carried over', carried],
  ['whose factors B are zero', fresh],
])('agrees to int8 for an adapter %s, where gradients are near', async (_, adapterOf) => {
  const { base, warnings, runtime, gradients } = await judged('even', adapterOf);
  expect(warnings).toEqual([]);
  expect(runtime).toBe(base.runtime);
  expect(gradients.decided).toEqual({ carried: 'int8' });
});

it('is about gradients, which can be far where losses are near, and only warns where int8 was asked for', async () => {
  const { base, rows, adapter, warnings, runtime } = await judged('uneven', carried);
  expect(await objectionToLosses({ bases, base, adapter, rows })).toBeNull();
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatch(
    /^with this adapter on rows of this task, int8 moves gradients by [\d.]+ %, expected at most 25 % for gradients$/,
  );
  expect(runtime).toBe(base.runtime);
});
