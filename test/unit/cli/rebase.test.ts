import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inspectFolder } from '../../../core/formats/inspect.ts';
import { ADAPTER_OUTCOMES } from '../../../core/formats/peft/adapter-outcomes.ts';
import { readAdapterManifest } from '../../../core/formats/peft/adapter-manifest.ts';
import {
  createTinyFamily,
  removeTinyFamily,
  tasteRows,
  toJsonl,
  type TinyFamily,
} from '../training/support/tiny-task.ts';
import { compiledCommand } from '../../compiled/index.ts';
import { readaptJson } from './support/readapt.ts';

let family: TinyFamily;

beforeAll(async () => {
  family = await createTinyFamily();
});
afterAll(() => removeTinyFamily(family));

const out = (name: string): string => path.join(family.folder, name);

interface Config {
  readonly useDora: boolean;
  readonly useRslora: boolean;
}

const SIZES = ['--batch-size', '8', '--learning-rate', '5e-3'];
const rowsOfFamily = (): string[] => ['--data', family.train, '--validation', family.validation];
const basesOfFamily = (): string[] => {
  return ['--old-base', family.oldBase, '--base', family.newBase, '--adapter', out('trained')];
};

async function trainOnOldBase(flags: readonly string[], config: Config): Promise<void> {
  const trained = await readaptJson(
    'train',
    '--base',
    family.oldBase,
    ...rowsOfFamily(),
    '--out',
    out('trained'),
    '--rank',
    '4',
    '--steps',
    '40',
    ...SIZES,
    ...flags,
  );
  expect(trained).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(/^device cpu: [^\n]+\n[^\n]+ in f32: [^\n]+\n$/),
  });
  expect(Object.keys(trained.document)).toEqual([
    'steps',
    'train_loss',
    'validation',
    'tokens',
    'tokens_per_second',
    'seconds',
    'peak_rss_bytes',
  ]);
  expect(trained.document).toMatchObject({ steps: 40, validation: { accuracy: expect.any(Number) } });
  const { accuracy } = trained.document.validation as { accuracy: number };
  expect(accuracy).toBeGreaterThan(0.9);
  expect(await inspectFolder(out('trained'), family.oldBase)).toMatchObject({
    kind: 'adapter',
    baseModelName: family.oldBase,
    rank: 4,
    alpha: 8,
    ...config,
  });
}

/** Carries the trained adapter over. @returns the metric's value of the old adapter on the old base */
async function carryOver(config: Config): Promise<number> {
  const rebased = await readaptJson(
    'rebase',
    ...basesOfFamily(),
    ...rowsOfFamily(),
    '--out',
    out('rebased'),
    '--max-steps',
    '30',
    '--margin',
    '0.3',
    ...SIZES,
  );
  expect(rebased.code).toBe(0);
  expect(Object.keys(rebased.document)).toEqual(
    expect.arrayContaining(['ready', 'strategy', 'fusion_alpha', 'fusion_beta', 'ttr_ms', 'phases', 'metric', 'rows']),
  );
  const { ready, metric } = rebased.document as unknown as {
    ready: boolean;
    metric: Record<'target' | 'old' | 'none' | 'copy' | 'published' | 'best', number>;
  };
  expect(ready).toBe(true);
  expect(metric.target).toBeCloseTo(metric.old - 0.3, 12);
  expect(rebased.document.certificate).toEqual({
    verdict: 'passed',
    confidence: 0.95,
    margin: 0.3,
    rows: 32,
    available_rows: 32,
    analyses: 1,
    level: expect.any(Number),
    looks: expect.any(Number),
    rows_needed: null,
  });
  expect(metric.published).toBeGreaterThanOrEqual(metric.target);
  expect(metric.best).toBe(metric.published);
  expect(metric.none).toBeLessThan(metric.published);
  const { newBase } = family;
  expect(await inspectFolder(out('rebased'), newBase)).toMatchObject({
    kind: 'adapter',
    rank: 4,
    baseModelName: newBase,
    ...config,
  });
  expect(rebased.document).toMatchObject({ metric: { old_known: true } });
  return metric.old;
}

async function carryOverWithoutOutcomes(old: number): Promise<void> {
  await rm(path.join(out('trained'), ADAPTER_OUTCOMES));
  const measured = await readaptJson(
    'rebase',
    ...basesOfFamily(),
    ...rowsOfFamily(),
    '--out',
    out('measured'),
    '--strategy',
    'reuse',
  );
  // The default margin is three points, for which 32 rows are far too few.
  const target = old - 0.03;
  expect(measured.document).toMatchObject({ ready: false, metric: { old_known: false, old, target } });
}

async function carryOverWithLargerRank(config: Config): Promise<void> {
  // A search may end at the copy, whose rank does not grow.
  const fusion = ['--strategy', 'revert', '--fusion-rank', '6', '--target', '0', '--base-name', 'org/new-base'];
  expect(
    await readaptJson('rebase', ...basesOfFamily(), ...rowsOfFamily(), '--out', out('grown'), ...fusion),
  ).toMatchObject({
    code: 0,
    document: { ready: true },
  });
  expect(await inspectFolder(out('grown'), family.newBase)).toMatchObject({
    kind: 'adapter',
    rank: 6,
    baseModelName: 'org/new-base',
    ...config,
  });
  const { coefficients } = (await readAdapterManifest(out('grown')))!;
  expect(coefficients).toEqual({ alpha: 1, beta: -1 });
}

describe('readapt train and rebase', () => {
  it.each([
    { kind: 'LoRA', flags: [], config: { useDora: false, useRslora: false } },
    { kind: 'DoRA, rsLoRA', flags: ['--dora', '--rslora'], config: { useDora: true, useRslora: true } },
  ])('train an adapter, then carry it over to the new base: $kind', async ({ flags, config }) => {
    await trainOnOldBase(flags, config);
    const old = await carryOver(config);
    await carryOverWithoutOutcomes(old);
    await carryOverWithLargerRank(config);
  });
});

describe('readapt rebase', () => {
  it('rebase asks of prompts alone how far the new adapter agrees with the old one', async () => {
    const prompts = (count: number, offset: number) =>
      toJsonl(tasteRows(count, offset).map(({ prompt }) => ({ prompt })));
    await writeFile(out('prompts.jsonl'), prompts(24, 0));
    await writeFile(out('held-prompts.jsonl'), prompts(48, 500));
    const bases = ['--old-base', family.oldBase, '--base', family.oldBase, '--adapter', family.adapter];
    const data = ['--data', out('prompts.jsonl'), '--validation', out('held-prompts.jsonl')];
    const options = ['--margin', '0.2', '--max-new-tokens', '4', '--out', out('agreed')];
    const { code, document, stderr } = await readaptJson('rebase', ...bases, ...data, ...options);
    expect(code).toBe(0);
    expect(document).toMatchObject({
      ready: true,
      strategy: 'reuse',
      metric: { name: 'exact_match', old: 1, published: 1, target: 0.8 },
    });
    expect(stderr).toContain('answers of the old version do not end within 4 tokens');
    const mixed = await readaptJson('rebase', ...bases, ...data.with(1, family.train), ...options);
    expect(mixed).toMatchObject({ code: 2, stderr: expect.stringContaining('have answers, and the held-out rows') });
  });
});

describe('the exit code of readapt rebase', () => {
  it('rebase ends with exit code 130 when it is interrupted, and leaves nothing behind', async () => {
    const bases = ['--old-base', family.oldBase, '--base', family.newBase, '--adapter', family.adapter];
    const data = ['--data', family.train, '--validation', family.validation, '--target', '2', '--max-steps', '100000'];
    const temporary = out('tmp');
    await mkdir(temporary);
    const args = [compiledCommand(), 'rebase', ...bases, ...data, '--out', out('interrupted'), '--threads', '1'];
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, TMPDIR: temporary },
    });
    const closed = once(child, 'close');
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      const isFirst = !stderr.includes('fine_tune@') && (stderr + text).includes('fine_tune@');
      stderr += text;
      // npm repeats the signal that the terminal has sent to the whole process group, so it comes twice at once.
      if (!isFirst) return;
      child.kill('SIGINT');
      child.kill('SIGINT');
    });
    expect(await closed).toEqual([130, null]);
    expect(stderr).toMatch(/readapt: interrupted\n$/);
    expect((await readdir(temporary)).filter((name) => name.startsWith('readapt-'))).toEqual([]);
    expect((await readdir(family.folder)).filter((name) => name.startsWith('interrupted'))).toEqual([]);
  });

  it('rebase ends with exit code 1 if it misses its target, and keeps the best candidate', async () => {
    const bases = ['--old-base', family.oldBase, '--base', family.newBase, '--adapter', family.adapter];
    await writeFile(out('few.jsonl'), toJsonl(tasteRows(12, 900)));
    const data = ['--data', family.train, '--validation', out('few.jsonl')];
    const run = await readaptJson(
      'rebase',
      ...bases,
      ...data,
      '--out',
      out('missed'),
      '--target',
      '2',
      '--strategy',
      'reuse',
    );
    expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining('target was not reached') });
    expect(run.document).toMatchObject({
      ready: false,
      ttr_ms: null,
      strategy: 'reuse',
      metric: { target: 2, published: null },
    });
    expect(await readdir(out('missed'))).toContain('adapter_model.safetensors');
  });
});
