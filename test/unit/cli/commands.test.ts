import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { main } from '../../../cli/main.ts';
import { inspectFolder } from '../../../core/formats/inspect.ts';
import { readAdapterManifest } from '../../../core/formats/peft/adapter-manifest.ts';
import {
  createTinyFamily,
  removeTinyFamily,
  tasteRows,
  toJsonl,
  type TinyFamily,
} from '../training/support/tiny-task.ts';

const GOLDEN = path.join(import.meta.dirname, '../../fixtures/golden');
const BIN = path.join(import.meta.dirname, '../../../bin/readapt.js');
const { base, adapter } = { base: `${GOLDEN}/llama-gqa-tied/base`, adapter: `${GOLDEN}/llama-gqa-tied/adapter` };

let family: TinyFamily;

beforeAll(async () => {
  family = await createTinyFamily();
});
afterAll(() => removeTinyFamily(family));
afterEach(() => vi.restoreAllMocks());

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command line in this process. */
async function readapt(...args: string[]): Promise<Run> {
  const written = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    vi.spyOn(process[stream], 'write').mockImplementation((text) => ((written[stream] += String(text)), true));
  }
  try {
    return { code: await main(args), ...written };
  } finally {
    vi.restoreAllMocks();
  }
}

/** Runs it with `--json`: stdout has to be one document and nothing else. */
/** What a command prints with `--json`; `never` stands for any type that an assertion wants. */
type JsonDocument = Record<'differences' | 'loss' | 'validation', never> & Record<string, never>;

async function readaptJson(...args: string[]): Promise<{ code: number; stderr: string; document: JsonDocument }> {
  const { code, stdout, stderr } = await readapt(...args, '--json', '--threads', '1');
  return { code, stderr, document: JSON.parse(stdout) as JsonDocument };
}

const out = (name: string): string => path.join(family.folder, name);

describe('readapt inspect', () => {
  const cases = JSON.parse(readFileSync(`${GOLDEN}/broken/broken.json`, 'utf8')) as {
    case: string;
    file: string;
    valid: boolean;
  }[];

  it.each(cases)('broken/$case: exit code and the file at fault', async ({ case: name, file, valid }) => {
    const folder = `${GOLDEN}/broken/${name}`;
    const args = file.startsWith('base/') ? [`${folder}/base`] : [`${folder}/adapter`, '--base', `${folder}/base`];
    const { code, document, stderr } = await readaptJson('inspect', ...args);
    expect(code).toBe(valid ? 0 : 2);
    if (valid) return expect(document).toMatchObject({ kind: 'adapter' });
    expect(document).toMatchObject({ error: { code: expect.stringMatching(/^[a-z_]+$/) } });
    expect(stderr).toContain(path.basename(file));
  });

  it('says what a base and an adapter hold', async () => {
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
  it('says what changed and where to begin, for one adapter too', async () => {
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

  it('lists what makes versions incompatible, and is done', async () => {
    const { code, document } = await readaptJson('inspect', base, '--against', `${GOLDEN}/qwen2/base`);
    expect(code).toBe(0);
    expect(document).toMatchObject({ advice: { verdict: 'incompatible' } });
    expect((document.differences as { field: string }[]).map(({ field }) => field)).toContain('hidden_size');
    expect(document.modules).toBeUndefined();
  });

  it.each([
    [['--base', base, '--against', base], 'exclude each other'],
    [['--adapter', adapter], 'needs --against'],
  ])('refuses %j', async (args, message) => {
    const { code, stderr } = await readapt('inspect', base, ...args);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});

describe('usage', () => {
  it.each([
    [['frobnicate']],
    [['eval', '--base', base]],
    [['eval', '--base', base, '--data', 'x.jsonl', '--limit', '0']],
    [['inspect']],
    [['train', '--base', base, '--data', 'x', '--validation', 'x', '--out', 'x', '--rank', '1.5']],
    [['train', '--base', base, '--data', 'x', '--validation', 'x', '--out', 'x', '--init', adapter, '--rank', '4']],
    [
      [
        'train',
        '--base',
        base,
        '--data',
        'x',
        '--validation',
        'x',
        '--out',
        'x',
        '--init',
        adapter,
        '--targets',
        'q_proj',
      ],
    ],
    [['train', '--base', base, '--data', 'x', '--validation', 'x', '--out', 'x', '--init', adapter, '--layers', '0']],
    [['train', '--base', base, '--data', 'x', '--validation', 'x', '--out', 'x', '--layers', '3-1']],
    [['train', '--base', base, '--data', 'x', '--validation', 'x', '--out', `${base}/config.json/deeper/x`]],
    [
      [
        'rebase',
        '--old-base',
        base,
        '--base',
        base,
        '--adapter',
        adapter,
        '--data',
        'x',
        '--validation',
        'x',
        '--out',
        'x',
        '--strategy',
        'magic',
      ],
    ],
    [
      [
        'rebase',
        '--old-base',
        base,
        '--base',
        base,
        '--adapter',
        adapter,
        '--data',
        'x',
        '--validation',
        'x',
        '--out',
        adapter,
      ],
    ],
    [
      [
        'rebase',
        '--old-base',
        base,
        '--base',
        base,
        '--adapter',
        adapter,
        '--data',
        'x',
        '--validation',
        'x',
        '--out',
        'x',
        '--target',
        '1',
        '--margin',
        '0',
      ],
    ],
    [
      [
        'rebase',
        '--old-base',
        base,
        '--base',
        base,
        '--adapter',
        adapter,
        '--validation',
        'x',
        '--out',
        'x',
        '--grouping',
        'layer',
      ],
    ],
    [
      [
        'rebase',
        '--old-base',
        base,
        '--base',
        base,
        '--adapter',
        adapter,
        '--validation',
        'x',
        '--out',
        'x',
        '--fusion-energy',
        '2',
      ],
    ],
    [['eval', '--base', '/nowhere', '--data', 'x.jsonl']],
    [['eval', '--base', base, '--data', '/nowhere.jsonl']],
  ])('%j is exit code 2, said on stderr and as JSON', async (args) => {
    const { code, stdout, stderr } = await readapt(...args, '--json');
    expect(code).toBe(2);
    expect(stderr).not.toBe('');
    expect(JSON.parse(stdout)).toHaveProperty('error.message');
  });

  it.each(['inspect', 'eval', 'train', 'rebase'])(
    '%s --help is exit code 0 and names every option, like help %s',
    async (command) => {
      const { code, stdout } = await readapt(command, '--help');
      expect(code).toBe(0);
      expect(await readapt('help', command)).toMatchObject({ code: 0, stdout });
      for (const option of ['--json', '--seed', '--device', '--threads']) expect(stdout).toContain(option);
    },
  );

  it('refuses bad data and folders of others before any work', async () => {
    await writeFile(out('bad.jsonl'), '{"prompt": "a"}\n');
    const bad = await readapt('eval', '--base', base, '--data', out('bad.jsonl'));
    expect(bad).toMatchObject({ code: 2, stderr: expect.stringContaining('bad.jsonl: line 1: completion is missing') });
    const good = { prompt: 'a', completion: 'b' };
    await writeFile(
      out('long.jsonl'),
      `${toJsonl([good, good])}\n${toJsonl([{ ...good, completion: 'long '.repeat(200) }])}`,
    );
    const long = await readapt('eval', '--base', base, '--data', out('long.jsonl'));
    expect(long).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/long\.jsonl: line 4: completion has \d+ tokens, expected at most 127/),
    });
    const occupied = await readapt(
      'train',
      '--base',
      base,
      '--data',
      'x',
      '--validation',
      'x',
      '--out',
      family.newBase,
    );
    expect(occupied).toMatchObject({ code: 2, stderr: expect.stringContaining('holds other files') });
    const data = ['--data', family.train, '--validation', family.validation, '--out', out('never')];
    for (const [option, value, message] of [
      ['--layers', '0-2', 'the base has no layer 2, expected 0 to 1'],
      ['--targets', 'c_attn', 'target module "c_attn" is no linear layer of a llama model'],
      ['--targets', '(q_proj', 'regular expression "(q_proj" is not valid'],
    ] as const) {
      const refused = await readapt('train', '--base', base, ...data, option, value);
      expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining(message) });
    }
  });

  it('runs from the shell with the same exit codes', async () => {
    const failure = (await promisify(execFile)(process.execPath, [BIN, 'inspect', '/nowhere']).catch(
      (error: unknown) => error,
    )) as {
      code: number;
      stderr: string;
    };
    expect(failure.code).toBe(2);
    expect(failure.stderr).toBe('readapt: /nowhere: folder does not exist\n');
  });
});

describe('readapt eval', () => {
  it('measures loss and accuracy, and honours --limit', async () => {
    const { code, document } = await readaptJson(
      'eval',
      '--base',
      family.oldBase,
      '--data',
      family.validation,
      '--limit',
      '10',
    );
    expect(code).toBe(0);
    expect(Object.keys(document)).toEqual(['loss', 'accuracy', 'examples', 'tokens', 'seconds']);
    expect(document).toMatchObject({ examples: 10, loss: expect.any(Number), accuracy: expect.any(Number) });
  });

  it('agrees between the devices', async () => {
    const args = ['eval', '--base', family.oldBase, '--adapter', adapter, '--data', family.validation, '--limit', '6'];
    const compiled = await readaptJson(...args);
    const eager = await readaptJson(...args, '--device', 'tfjs-cpu');
    expect(eager.document.loss).toBeCloseTo(compiled.document.loss, 4);
  });

  it('says what the base is computed in, and why, where that is chosen', async () => {
    const args = ['eval', '--base', family.oldBase, '--data', family.validation, '--limit', '6'];
    const { stderr } = await readaptJson(...args, '--precision', 'auto');
    expect(stderr).toContain(`${family.oldBase} in f32: 0.1 million weights in layers are too few for int8 to pay\n`);
  });

  it('has no accuracy where completions are many', async () => {
    const rows = Array.from({ length: 30 }, (_, i) => ({ prompt: `Number ${i}:`, completion: ` ${i}` }));
    await writeFile(out('numbers.jsonl'), toJsonl(rows));
    const { document } = await readaptJson('eval', '--base', family.oldBase, '--data', out('numbers.jsonl'));
    expect(document.accuracy).toBeNull();
  });
});

describe('readapt train and rebase', () => {
  it.each([
    { kind: 'LoRA', flags: [], config: { useDora: false, useRslora: false } },
    { kind: 'DoRA, rsLoRA', flags: ['--dora', '--rslora'], config: { useDora: true, useRslora: true } },
  ])('train an adapter, then carry it over to the new base: $kind', async ({ flags, config }) => {
    const data = ['--data', family.train, '--validation', family.validation];
    const sizes = ['--batch-size', '8', '--learning-rate', '5e-3'];
    const trained = await readaptJson(
      'train',
      '--base',
      family.oldBase,
      ...data,
      '--out',
      out('trained'),
      '--rank',
      '4',
      '--steps',
      '40',
      ...sizes,
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
      rank: 4,
      alpha: 8,
      ...config,
    });

    const bases = ['--old-base', family.oldBase, '--base', family.newBase, '--adapter', out('trained')];
    const rebased = await readaptJson(
      'rebase',
      ...bases,
      ...data,
      '--out',
      out('rebased'),
      '--max-steps',
      '30',
      ...sizes,
    );
    expect(rebased.code).toBe(0);
    expect(Object.keys(rebased.document)).toEqual(
      expect.arrayContaining([
        'ready',
        'strategy',
        'fusion_alpha',
        'fusion_beta',
        'ttr_ms',
        'phases',
        'metric',
        'rows',
      ]),
    );
    const { ready, metric } = rebased.document as unknown as {
      ready: boolean;
      metric: Record<'target' | 'old' | 'none' | 'copy' | 'published' | 'best', number>;
    };
    expect(ready).toBe(true);
    expect(metric.target).toBeCloseTo(metric.old - 0.005, 12);
    expect(metric.published).toBeGreaterThanOrEqual(metric.target);
    expect(metric.best).toBe(metric.published);
    expect(metric.none).toBeLessThan(metric.published);
    expect(await inspectFolder(out('rebased'), family.newBase)).toMatchObject({ kind: 'adapter', rank: 4, ...config });

    const fusion = [
      '--strategy',
      'relora',
      '--grouping',
      'block',
      '--coefficients',
      'beta',
      '--fusion-rank',
      '6',
      '--target',
      '0',
    ];
    expect(await readaptJson('rebase', ...bases, ...data, '--out', out('grown'), ...fusion)).toMatchObject({
      code: 0,
      document: { ready: true },
    });
    expect(await inspectFolder(out('grown'), family.newBase)).toMatchObject({ kind: 'adapter', rank: 6, ...config });
    const { coefficients } = (await readAdapterManifest(out('grown')))!;
    expect(coefficients!.groups).toMatchObject({
      grouping: 'block',
      values: { attention: { alpha: 1 }, mlp: { alpha: 1 } },
    });
  });

  it('an interrupted rebase ends with 130 and leaves nothing behind', async () => {
    const bases = ['--old-base', family.oldBase, '--base', family.newBase, '--adapter', family.adapter];
    const data = ['--data', family.train, '--validation', family.validation, '--target', '2', '--max-steps', '100000'];
    const temporary = out('tmp');
    await mkdir(temporary);
    const args = [BIN, 'rebase', ...bases, ...data, '--out', out('interrupted'), '--threads', '1'];
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, TMPDIR: temporary },
    });
    const exit = once(child, 'exit');
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      const isFirst = !stderr.includes('fine_tune@') && (stderr + text).includes('fine_tune@');
      stderr += text;
      // npm passes on what the terminal has sent to the whole group already: it comes twice, and no later.
      if (!isFirst) return;
      child.kill('SIGINT');
      child.kill('SIGINT');
    });
    expect(await exit).toEqual([130, null]);
    expect(stderr).toMatch(/readapt: interrupted\n$/);
    expect((await readdir(temporary)).filter((name) => name.startsWith('readapt-'))).toEqual([]);
    expect((await readdir(family.folder)).filter((name) => name.startsWith('interrupted'))).toEqual([]);
  });

  it('rebase that misses its target keeps the best candidate and is exit code 1', async () => {
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
