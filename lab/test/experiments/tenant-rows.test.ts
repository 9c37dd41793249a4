import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawRows, tenantRows } from '../../experiments/measurement/tenant-rows.ts';
import type { TenantSpec } from '../../experiments/plan.ts';

let folder: string;
let spec: TenantSpec;

/** Makes rows with the prompts from first to last. */
const rows = (first: number, last: number): string =>
  Array.from({ length: last - first + 1 }, (_, i) => `{"prompt": "${first + i}", "completion": "x"}\n`).join('');

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-pool-'));
  const pool = ['a', 'b'].map((name) => path.join(folder, `${name}.jsonl`));
  await writeFile(pool[0]!, rows(1, 60));
  // Ten of these rows are also in the other file.
  await writeFile(pool[1]!, rows(51, 100));
  const recipe = { name: 'lora', rows: 20, steps: 1, batch_size: 1, learning_rate: 1 };
  spec = { base: '/base', task: { name: 'pooled', metric: 'accuracy', pool }, recipe, seed: 1, testRows: 30 };
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const prompts = (list: readonly object[]): string[] => list.map((row) => (row as { prompt: string }).prompt);

describe('the rows of a pool', () => {
  it('are divided into three sets, which have no row in common and together are all', async () => {
    const { train, validation, test } = await tenantRows(spec);
    expect([train.length, validation.length, test.length]).toEqual([20, 50, 30]);
    expect(new Set(prompts([...train, ...validation, ...test])).size).toBe(100);
  });

  it('give all tenants the same test rows, and each seed its own others', async () => {
    const [one, two] = [await tenantRows(spec), await tenantRows({ ...spec, seed: 2 })];
    expect(two.test).toEqual(one.test);
    expect(prompts(two.train)).not.toEqual(prompts(one.train));
    expect(await tenantRows(spec)).toEqual(one);
  });

  it('are refused if they are too few', async () => {
    await expect(tenantRows({ ...spec, validationRows: 51 })).rejects.toThrow(
      'found 50 rows in the pool of task pooled, beside those for tests and training, expected at least the 51',
    );
  });
});

describe('the samples of validation rows', () => {
  it('are random subsets, the same for the same seed and number', async () => {
    const file = path.join(folder, 'a.jsonl');
    const draw = async (seed: number, number: number) =>
      prompts(await drawRows(file, { ...spec, seed }, { number, rows: 40 }));
    const first = await draw(1, 1);
    expect(new Set(first).size).toBe(40);
    expect(await draw(1, 1)).toEqual(first);
    for (const other of [await draw(1, 2), await draw(2, 1)]) expect(other.toSorted()).not.toEqual(first.toSorted());
    await expect(drawRows(file, spec, { number: 1, rows: 61 })).rejects.toThrow('found 60 validation rows');
  });
});
