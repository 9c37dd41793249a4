import { cp, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runAdaptation } from '../../../core/adaptation/run-adaptation.ts';
import { decideRowFormat } from '../../../core/adaptation/setup/row-format.ts';
import { tokenizeRows } from '../../../core/data/tokenize.ts';
import { BaseCache, type LoadedBase } from '../../../core/engine/base-cache.ts';
import { readAdapterManifest } from '../../../core/formats/peft/adapter-manifest.ts';
import { loadAdapter } from '../../../core/formats/peft/peft-adapter.ts';
import { saveAdapter } from '../../../core/formats/peft/peft-adapter-writer.ts';
import { train } from '../../../core/training/trainer.ts';
import { plainJob } from '../training/support/tiny-job.ts';
import {
  createTinyFamily,
  removeTinyFamily,
  smallAdapter,
  tasteRows,
  toJsonl,
  type TinyFamily,
} from '../training/support/tiny-task.ts';

const signal = new AbortController().signal;
let family: TinyFamily;
let bases: BaseCache;
let base: LoadedBase;
const file = (name: string): string => path.join(family.folder, name);

beforeAll(async () => {
  family = await createTinyFamily();
  bases = new BaseCache({ threads: 1 });
  base = await bases.load(family.oldBase);
  for (const appendEos of [true, false]) await trainAdapter(`ends-${appendEos}`, appendEos);
});
afterAll(async () => {
  await bases.dispose();
  await removeTinyFamily(family);
});

/** Trains an adapter on rows with or without the end of the text, and writes it without a `readapt.json`. */
async function trainAdapter(name: string, appendEos: boolean): Promise<void> {
  const { config } = base.model;
  const { adapter } = await train({
    runtime: base.runtime,
    initial: smallAdapter(config),
    examples: tokenizeRows(tasteRows(64), { tokenizer: base.tokenizer, config, appendEos }),
    steps: 60,
    batchSize: 8,
    learningRate: 2e-2,
    seed: 1,
  });
  await saveAdapter(file(name), adapter);
}

async function formatOf(name: string, given = {}) {
  const adapter = await loadAdapter(file(name), base.model.config);
  return decideRowFormat({
    given,
    folder: file(name),
    adapter,
    config: base.model.config,
    loadBase: () => Promise.resolve(base),
    rows: tasteRows(40, 900),
    signal,
  });
}

describe('the format of the rows', () => {
  it.each([true, false])('follows how the old adapter ends its completions: %s', async (appendEos) => {
    const format = await formatOf(`ends-${appendEos}`);
    expect(format.appendEos).toBe(appendEos);
    expect(format.appendEosReason).toMatch(/^the old adapter ends 16 completions with a mean probability of [\d.]+ %$/);
    expect(format.maxLength).toBe(base.model.config.maxPositionEmbeddings);
  });

  it('follows what somebody asks for before anything else', async () => {
    expect(await formatOf('ends-true', { append_eos: 'no', max_length: 60 })).toEqual({
      appendEos: false,
      appendEosReason: 'asked for',
      maxLength: 60,
    });
  });

  it('follows the readapt.json of the adapter before any measurement', async () => {
    const adapter = await loadAdapter(file('ends-true'), base.model.config);
    const manifest = { baseFingerprint: base.model.fingerprint, appendEos: false, maxLength: 77 };
    await saveAdapter(file('says-no'), adapter, { manifest });
    expect(await formatOf('says-no', { append_eos: 'auto' })).toEqual({
      appendEos: false,
      appendEosReason: "says the adapter's readapt.json",
      maxLength: 77,
    });
  });

  it('in a readapt.json is checked like anything that came from elsewhere', async () => {
    await cp(file('says-no'), file('broken'), { recursive: true });
    const text = await readFile(file('broken/readapt.json'), 'utf8');
    await writeFile(file('broken/readapt.json'), text.replace('"max_length": 77', '"max_length": -1'));
    await expect(formatOf('broken')).rejects.toThrow('max_length is -1, expected an integer above 1 or null');
  });
});

it('a job measures it once, tells it, and publishes it with the adapter', async () => {
  const spec = plainJob(family, 'ends', {
    adapter: file('ends-true'),
    gate: { kind: 'absolute', target: 100 },
    options: { strategy: 'reuse' },
  });
  const told: unknown[] = [];
  let published: string | undefined;
  const outcome = await runAdaptation(
    bases,
    spec,
    (event) => {
      if (event.type === 'row_format') told.push(event.format);
      if (event.type === 'publication') published = event.folder;
    },
    signal,
  );
  expect(outcome.rowFormat).toMatchObject({ appendEos: true });
  expect(told).toEqual([outcome.rowFormat]);
  expect(await readAdapterManifest(published!)).toMatchObject({ appendEos: true, maxLength: 128 });
});

it('a job warns of rows that are too long before it measures anything, and reports slices', async () => {
  const long = { prompt: 'sweet '.repeat(200), completion: ' sweet', split: 'gate' };
  const rows = tasteRows(24).map((row, i) => ({ ...row, split: i % 2 ? 'search' : 'gate', slices: [`s${i % 4}`] }));
  await writeFile(file('slices.jsonl'), toJsonl([...rows, long]));
  const spec = plainJob(family, 'slices', {
    data: { file: file('slices.jsonl') },
    gate: { kind: 'relative', margin: 100 },
    options: { strategy: 'reuse' },
    adapterOptions: { append_eos: 'no' },
  });
  const events: string[] = [];
  const outcome = await runAdaptation(bases, spec, ({ type }) => void events.push(type), signal);
  expect(outcome.warnings).toEqual([
    expect.stringMatching(
      /^1 of 13 gate rows have more than 128 tokens .*: slices.jsonl: line 25; the longest has \d+/,
    ),
  ]);
  expect(events.indexOf('warning')).toBeLessThan(events.indexOf('baselines'));
  const { old, best } = outcome.slices;
  expect(Object.entries(best).map(([name, { rows: count }]) => [name, count])).toEqual([
    ['s0', 6],
    ['s2', 6],
  ]);
  expect(Object.keys(old)).toEqual(['s0', 's2']);
  expect(best['s0']!.value).not.toBe(best['s2']!.value);
});
