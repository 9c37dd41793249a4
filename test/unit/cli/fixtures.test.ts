import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ARCHITECTURES } from '../../../core/models/architecture/architecture-table.ts';
import { readTensors, values, type Tensors } from '../engine/support/golden.ts';
import { readaptJson } from './support/readapt.ts';

const GOLDEN = path.join(import.meta.dirname, '../../fixtures/golden');

interface Fixture {
  readonly name: string;
  readonly base: string;
  readonly adapter: string;
  /** Names of the tensors that hold the losses without and with the adapter. */
  readonly losses: readonly [base: string, adapter: string];
}

/** Every base of every golden case. */
const FIXTURES = readdirSync(GOLDEN)
  .filter((name) => existsSync(path.join(GOLDEN, name, 'golden.json')))
  .flatMap((name): Fixture[] => {
    const folder = path.join(GOLDEN, name);
    const adapter = path.join(folder, 'adapter');
    const versions = readdirSync(folder).filter((entry) => /^base_v\d$/.test(entry));
    if (versions.length === 0)
      return [{ name, base: path.join(folder, 'base'), adapter, losses: ['base.loss', 'adapter.loss'] }];
    return versions.map((version) => {
      const loss = version.replace('base_', 'loss.');
      return {
        name: `${name} ${version}`,
        base: path.join(folder, version),
        adapter,
        losses: [loss, `${loss}_adapter`],
      };
    });
  });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'readapt-fixtures-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs a command, which must succeed, and returns the document that it prints. */
async function run(...args: string[]): Promise<Record<string, unknown>> {
  const { code, document, stderr } = await readaptJson(...args, '--device', 'cpu');
  expect(code, stderr).toBe(0);
  return document;
}

/** Returns the character that stands for a token. */
const spell = (id: number): string => String.fromCodePoint(0x4e00 + id);

/** Makes a tokenizer with one character for each token of the fixture's vocabulary. */
function tokenizerJson(vocabSize: number): object {
  const vocab = Object.fromEntries(Array.from({ length: vocabSize }, (_, id) => [spell(id), id]));
  const steps = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };
  return { model: { type: 'BPE', vocab, merges: [] }, added_tokens: [], ...steps };
}

/** Converts the fixture's batch to rows of text. The labels are the completion of each row. */
function rowsOf(golden: Tensors): { prompt: string; completion: string }[] {
  const [rows, length] = golden.get('input_ids')!.shape as [number, number];
  const [ids, mask, labels] = ['input_ids', 'attention_mask', 'labels'].map((name) => values(golden, name));
  return Array.from({ length: rows }, (_, row) => {
    const tokens = Array.from({ length }, (_, t) => row * length + t).filter((at) => mask![at] === 1);
    const start = tokens.findIndex((at) => labels![at] !== -100);
    const text = (of: number[]) => of.map((at) => spell(ids![at]!)).join('');
    return { prompt: text(tokens.slice(0, start)), completion: text(tokens.slice(start)) };
  });
}

/** Fixtures of built-in architectures. Only a test declares the architecture of one fixture. */
const SUPPORTED = FIXTURES.filter(({ base }) => {
  const { model_type: type } = JSON.parse(readFileSync(path.join(base, 'config.json'), 'utf8')) as {
    model_type: string;
  };
  return Object.hasOwn(ARCHITECTURES, type);
});

it('finds all fixtures', () => {
  expect(SUPPORTED.length).toBeGreaterThanOrEqual(10);
  expect(FIXTURES.length - SUPPORTED.length).toBeLessThanOrEqual(1);
});

describe.each(SUPPORTED)('$name', ({ name, base, adapter, losses }) => {
  const golden = readTensors(path.join(adapter, '../golden.safetensors'));
  const config = JSON.parse(readFileSync(path.join(base, 'config.json'), 'utf8')) as Record<string, unknown>;
  const out = (what: string) => path.join(folder, `${name} ${what}`);
  const data = () => ['--data', out('rows.jsonl')];

  beforeAll(async () => {
    await cp(base, out('base'), { recursive: true });
    await writeFile(
      path.join(out('base'), 'tokenizer.json'),
      JSON.stringify(tokenizerJson(config['vocab_size'] as number)),
    );
    await writeFile(
      out('rows.jsonl'),
      rowsOf(golden)
        .map((row) => `${JSON.stringify(row)}\n`)
        .join(''),
    );
  });

  it('inspect accepts base and adapter', async () => {
    expect(await run('inspect', base)).toMatchObject({ kind: 'base_model', architecture: config['model_type'] });
    const { r } = JSON.parse(readFileSync(path.join(adapter, 'adapter_config.json'), 'utf8')) as { r: number };
    expect(await run('inspect', adapter, '--base', base)).toMatchObject({
      kind: 'adapter',
      architecture: config['model_type'],
      rank: r,
      keys_as_peft_writes_them: true,
    });
  });

  it.each([
    ['the base', [], losses[0]],
    ['the adapter', ['--adapter', adapter], losses[1]],
  ])('eval gives the loss that transformers and PEFT give %s', async (_, adapted, expected) => {
    const { loss } = await run('eval', '--base', out('base'), ...adapted, ...data());
    expect(Math.abs((loss as number) / values(golden, expected)[0]! - 1)).toBeLessThan(1e-5);
  });

  it('train continues with the adapter', async () => {
    const settings = ['--steps', '6', '--batch-size', '3', '--learning-rate', '0.01'];
    const files = [...data(), '--validation', out('rows.jsonl'), '--out', out('trained')];
    const { validation } = await run('train', '--base', out('base'), '--init', adapter, ...files, ...settings);
    expect((validation as { loss: number }).loss).toBeLessThan(values(golden, losses[1])[0]! - 0.05);
    const [before, after] = [
      await run('inspect', adapter, '--base', base),
      await run('inspect', out('trained'), '--base', base),
    ];
    for (const field of ['rank', 'largest_rank', 'alpha', 'modules', 'parameters', 'use_rslora', 'use_dora']) {
      expect([field, after[field]]).toEqual([field, before[field]]);
    }
    expect(after['fingerprint']).not.toBe(before['fingerprint']);
  });

  it('train makes a new adapter for one layer', async () => {
    const files = [...data(), '--validation', out('rows.jsonl'), '--out', out('new')];
    await run('train', '--base', out('base'), '--layers', '1', '--steps', '1', ...files);
    const { targets } = await run('inspect', out('new'), '--base', base);
    expect((targets as string[]).every((target) => target.startsWith('model.layers.1.'))).toBe(true);
  });
});
