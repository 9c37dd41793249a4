import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, it } from 'vitest';
import { Random } from '../../core/statistics/random.ts';
import { PLAIN } from './support/bases.ts';
import { trainingTexts } from './support/texts.ts';
import { compiledCommand } from '../compiled/index.ts';
import { useWorkspace } from './support/workspace.ts';

const COMMAND = compiledCommand();
const run = promisify(execFile);

const workspace = useWorkspace();
const VOCABULARY = 400;
const TRUTHS = ['good', 'bad', 'neither of them'];

let base: string;
let data: string;
let adapter: string;

/** Makes thirty rows whose completion follows from one word of the prompt. */
function rows(): { prompt: string; completion: string }[] {
  const texts = trainingTexts(Random.fromSeed(11)).slice(0, 30);
  return texts.map((text, index) => {
    const truth = index % TRUTHS.length;
    return { prompt: `${text.slice(0, 60)} ${['yes', 'no', 'perhaps'][truth]}:`, completion: ` ${TRUTHS[truth]}` };
  });
}

beforeAll(async () => {
  base = workspace.path('base');
  data = workspace.path('rows.jsonl');
  adapter = workspace.path('adapter');
  const { config, dtype } = PLAIN;
  await mkdir(base);
  await workspace.reference.call('models.create_base', {
    folder: base,
    config: { ...config, vocab_size: VOCABULARY, max_position_embeddings: 256 },
    seed: 3,
    dtype,
  });
  await workspace.reference.call('byte_level_bpe.train', {
    file: path.join(base, 'tokenizer.json'),
    style: 'llama3',
    texts: trainingTexts(Random.fromSeed(12)),
    vocab_size: VOCABULARY,
  });
  await writeFile(
    data,
    rows()
      .map((row) => `${JSON.stringify(row)}\n`)
      .join(''),
  );
});

it('trains an adapter for which PEFT measures the same loss as the command', async () => {
  const before = await evaluate(null);
  const settings = '--steps 20 --batch-size 8 --learning-rate 0.01 --rank 4 --threads 1 --seed 5 --json'.split(' ');
  // The reference measures the completions as they are.
  settings.push('--append-eos', 'no');
  const files = ['--data', data, '--validation', data, '--out', adapter];
  const trained = await readapt('train', '--base', base, ...files, ...settings);
  expect(trained.steps).toBe(20);
  expect(JSON.parse(await readFile(path.join(adapter, 'adapter_config.json'), 'utf8'))).toMatchObject({ r: 4 });
  await expectLoadedByName(adapter, base);

  const after = await evaluate(adapter);
  expect(after.loss).toBeLessThan(before.loss - 1);
  expect(Math.abs((trained.validation as { loss: number }).loss - after.loss)).toBeLessThan(1e-4);
});

it('carries the adapter over to a new base, which PEFT finds by the name in the adapter', async () => {
  const next = workspace.path('next');
  const version = { folder: next, config: {}, seed: 4, dtype: PLAIN.dtype, moved_from: base, drift: 0.02 };
  await workspace.reference.call('models.create_base', version);
  await cp(path.join(base, 'tokenizer.json'), path.join(next, 'tokenizer.json'));
  const files = ['--old-base', base, '--adapter', adapter, '--data', data, '--validation', data];
  const gate = '--metric loss --target 100 --threads 1 --json'.split(' ');

  const out = workspace.path('rebased');
  await readapt('rebase', '--base', next, ...files, '--out', out, ...gate);
  await expectLoadedByName(out, next);

  const named = workspace.path('rebased by name');
  await symlink(next, workspace.path('served'));
  await readapt('rebase', '--base', next, '--base-name', workspace.path('served'), ...files, '--out', named, ...gate);
  await expectLoadedByName(named, workspace.path('served'));
});

/** Checks that `AutoPeftModelForCausalLM` loads the folder without further information, and from which base. */
async function expectLoadedByName(folder: string, expected: string): Promise<void> {
  const loaded = await workspace.reference.call('adapters.load_strictly', { base: null, adapter: folder });
  expect(loaded).toEqual({ base: expected, warnings: [], missing: [], unexpected: [], changed: [] });
}

/** Runs `readapt eval`, and compares its loss with PyTorch's on the same rows. */
async function evaluate(folder: string | null): Promise<{ loss: number }> {
  const adapted = folder === null ? [] : ['--adapter', folder];
  const printed = await readapt('eval', '--base', base, ...adapted, '--data', data, '--threads', '1', '--json');
  const expected = await workspace.reference.call('completions.mean_loss', { base, adapter: folder, data });
  expect(printed.examples).toBe(expected.examples);
  expect(Math.abs((printed.loss as number) - expected.loss)).toBeLessThan(1e-4);
  return { loss: printed.loss as number };
}

/** Returns the document that a command prints; if it fails, the error shows its other output. */
async function readapt(...args: string[]): Promise<Record<string, unknown>> {
  const { stdout } = await run(process.execPath, [COMMAND, ...args]);
  return JSON.parse(stdout) as Record<string, unknown>;
}
