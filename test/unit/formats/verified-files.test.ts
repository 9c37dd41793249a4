import { copyFile, mkdtemp, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { VerifiedModels } from '../../../core/engine/cache/verified-models.ts';
import { describeBaseModel, openBaseModel } from '../../../core/formats/hugging-face/hugging-face-model.ts';
import type { VerifiedFiles } from '../../../core/formats/hugging-face/verified-files.ts';
import { copyOf, GOLDEN, patchJson } from './support/folders.ts';

/** Folder with old files, whose stamps are settled. */
const SETTLED = join(GOLDEN, 'llama-bf16/base');
const WEIGHTS = 'model.safetensors';

/** An in-memory record that lists the requested stamps. */
function memory() {
  const known = new Map<string, string>();
  const asked: string[] = [];
  const verified: VerifiedFiles = {
    find: (stamp) => {
      asked.push(stamp);
      return Promise.resolve(known.get(stamp) ?? null);
    },
    add: (stamp, fingerprint) => Promise.resolve(void known.set(stamp, fingerprint)),
  };
  return { known, asked, verified };
}

async function stampOfFolder(folder: string): Promise<string> {
  const { asked, verified } = memory();
  await describeBaseModel(folder, { verified });
  return asked[0]!;
}

it('files that were verified once have their fingerprint without being read', async () => {
  const { known, verified } = memory();
  const { fingerprint } = await describeBaseModel(SETTLED, { verified });
  expect([...known.values()]).toEqual([fingerprint]);
  known.set([...known.keys()][0]!, 'as it was remembered');
  expect((await describeBaseModel(SETTLED, { verified })).fingerprint).toBe('as it was remembered');
  const base = await openBaseModel(SETTLED, () => true, { verified });
  expect(base.fingerprint).toBe('as it was remembered');
  expect(base.weights.get('model.norm.weight')!.data.every(Number.isFinite)).toBe(true);
  await base.close();
});

it('files that changed a moment ago are not remembered, since they may change again within a clock tick', async () => {
  // Fake the clock, so that the file stays recent even if the machine stalls.
  vi.useFakeTimers({ toFake: ['Date'] });
  onTestFinished(() => void vi.useRealTimers());
  const { known, verified } = memory();
  await describeBaseModel(await copyOf('llama-gqa-tied/base'), { verified });
  expect(known.size).toBe(0);
});

it('any change of a file changes the stamp, even one that keeps its size and its modification time', async () => {
  const folder = await copyOf('llama-gqa-tied/base');
  const file = join(folder, WEIGHTS);
  await utimes(file, 1e9, 1e9);
  const stamps = [await stampOfFolder(folder)];
  const bytes = await readFile(file);
  bytes.writeFloatLE(0.125, bytes.length - 4);
  await writeFile(file, bytes);
  await utimes(file, 1e9, 1e9);
  expect((await stat(file)).mtimeMs).toBe(1e12);
  stamps.push(await stampOfFolder(folder));
  await copyFile(file, `${file}.new`);
  await rename(`${file}.new`, file);
  stamps.push(await stampOfFolder(folder));
  await patchJson(join(folder, 'config.json'), { rms_norm_eps: 0.5 });
  stamps.push(await stampOfFolder(folder));
  expect(new Set(stamps).size).toBe(4);
});

it('a folder of the cache remembers for later processes', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'readapt-verified-'));
  try {
    await new VerifiedModels(folder).add('stamp', 'fingerprint');
    expect(await new VerifiedModels(folder).find('stamp')).toBe('fingerprint');
    expect(await new VerifiedModels(folder).find('another')).toBeNull();
  } finally {
    await rm(folder, { recursive: true });
  }
});
