import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createTinyFamily,
  removeTinyFamily,
  tasteRows,
  toJsonl,
  type TinyFamily,
} from '../training/support/tiny-task.ts';
import { readapt, readaptJson } from './support/readapt.ts';

const GOLDEN = path.join(import.meta.dirname, '../../fixtures/golden');
const base = `${GOLDEN}/llama-gqa-tied/base`;
const adapter = `${GOLDEN}/llama-gqa-tied/adapter`;

let family: TinyFamily;

beforeAll(async () => {
  family = await createTinyFamily();
});
afterAll(() => removeTinyFamily(family));

describe('readapt inspect', () => {
  const cases = JSON.parse(readFileSync(`${GOLDEN}/broken/broken.json`, 'utf8')) as {
    case: string;
    file: string;
    valid: boolean;
  }[];

  it.each(cases)(
    'broken/$case: gives the exit code and names the file at fault',
    async ({ case: name, file, valid }) => {
      const folder = `${GOLDEN}/broken/${name}`;
      const args = file.startsWith('base/') ? [`${folder}/base`] : [`${folder}/adapter`, '--base', `${folder}/base`];
      const { code, document, stderr } = await readaptJson('inspect', ...args);
      expect(code).toBe(valid ? 0 : 2);
      if (valid) return expect(document).toMatchObject({ kind: 'adapter' });
      expect(document).toMatchObject({ error: { code: expect.stringMatching(/^[a-z_]+$/) } });
      expect(stderr).toContain(path.basename(file));
    },
  );

  it('describes a base and an adapter', async () => {
    const { document } = await readaptJson('inspect', base);
    expect(document).toMatchObject({ kind: 'base_model', architecture: 'llama', parameters: 94_528, rank: null });
    expect(document.fingerprint).toMatch(/^[0-9a-f]{64}$/);
    const inspected = await readaptJson('inspect', adapter, '--base', base);
    expect(inspected.document).toMatchObject({ kind: 'adapter', architecture: 'llama', rank: 4, alpha: 8 });
    expect(inspected.document.targets).toContain('q_proj');
  });

  it('prints aligned text for people', async () => {
    const { code, stdout } = await readapt('inspect', adapter, '--base', base);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^kind {10}LoRA adapter$/m);
    expect(stdout).toMatch(/^alpha {9}8$/m);
  });
});

describe('readapt inspect --against', () => {
  it('says what changed, and gives advice for all adapters and for one', async () => {
    const args = ['inspect', family.oldBase, '--against', family.newBase];
    const { code, document } = await readaptJson(...args);
    expect(code).toBe(0);
    expect(document).toMatchObject({ kind: 'evolution', advice: { verdict: 'retrain' }, differences: [] });
    expect(document).toHaveProperty(['modules', 'model.layers.1.mlp.down_proj', 'drift'], expect.closeTo(0.196, 3));
    expect(document.captured_energy_by_rank).toHaveLength(6);
    expect(document.adapter).toBeUndefined();
    const { document: forAdapter } = await readaptJson(...args, '--adapter', family.adapter);
    expect(forAdapter.adapter).toMatchObject({ targeted: expect.closeTo(0.4, 3), undone: expect.closeTo(0.084, 3) });
  });

  it('draws the drift by layer for people', async () => {
    const { stdout } = await readapt('inspect', family.oldBase, '--against', family.newBase);
    expect(stdout).toMatch(/^advice {10}retrain$/m);
    expect(stdout).toMatch(/^ {2}q_proj {8}[▁▂▃▄▅▆▇█]{2} {2}\d+\.\d\d %$/m);
  });

  it('lists the differences of incompatible versions, and succeeds', async () => {
    const { code, document } = await readaptJson('inspect', base, '--against', `${GOLDEN}/qwen2/base`);
    expect(code).toBe(0);
    expect(document).toMatchObject({ advice: { verdict: 'incompatible' } });
    expect((document.differences as { field: string }[]).map(({ field }) => field)).toContain('hidden_size');
    expect(document.modules).toBeUndefined();
  });
});

describe('readapt inspect --data', () => {
  it('says what margin rows can certify for an adapter', async () => {
    const args = [family.oldBase, '--data', family.validation, '--adapter', family.adapter];
    const { code, document } = await readaptJson('inspect', ...args);
    expect(code).toBe(0);
    const { validation, dataset } = (document as object as { gate_advice: Record<string, Record<string, number>> })
      .gate_advice;
    // Of 48 held-out rows, 16 are search rows: 1 − 0.04^(1/32) = 0.0957. As a dataset, a tenth are gate rows.
    expect(validation).toMatchObject({ rows: 32, confidence: 0.95, margin: null });
    expect(validation!.least_margin).toBeGreaterThan(0.0957);
    expect(validation!.certifiable_margin).toBeGreaterThan(validation!.least_margin!);
    expect(dataset!.rows).toBeLessThan(10);
    const { stdout } = await readapt('inspect', ...args);
    expect(stdout).toMatch(/gate, as --validation +32 rows certify a margin of [\d.]+ points at 95 % as a rule/);
  });

  it('shows prompts alone as rows without labels, and what margin they can certify', async () => {
    const prompts = tasteRows(48).map(({ prompt }) => ({ prompt }));
    const file = path.join(family.folder, 'prompts.jsonl');
    await writeFile(file, toJsonl(prompts));
    const args = [family.oldBase, '--data', file, '--adapter', family.adapter];
    const { code, document } = await readaptJson('inspect', ...args);
    expect(code).toBe(0);
    expect(document).toMatchObject({
      data: { counts: { rows: 48, labels: 0 }, rows: [{ line: 1, label_spans: [] }, {}, {}] },
      gate_advice: { metric: 'exact_match', validation: { rows: 32 } },
    });
    const { stdout } = await readapt('inspect', ...args);
    expect(stdout).toContain(`\n${prompts[0]!.prompt}\n`);
  });
});

describe('options of readapt inspect that do not fit together', () => {
  it.each([
    [['--base', base, '--against', base], 'exclude each other'],
    [['--adapter', adapter], 'needs --against'],
  ])('refuses %j', async (args, message) => {
    const { code, stderr } = await readapt('inspect', base, ...args);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});
