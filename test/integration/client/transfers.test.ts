import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  items,
  listAdapterVersions,
  ProblemError,
  type ReadaptClient,
} from '../../../openapi/clients/typescript/src/index.ts';
import {
  DigestMismatchError,
  downloadAdapter,
  folderDigest,
  uploadAdapter,
  uploadDataset,
} from '../../../openapi/clients/typescript/src/node/index.ts';
import { createAdapterWorld, type AdapterWorld } from '../adapters/support.ts';
import { createClientWorld, type ClientWorld } from './client-world.ts';

const FILES = ['adapter_config.json', 'adapter_model.safetensors'];

let adapters: AdapterWorld;
let world: ClientWorld;
let client: ReadaptClient;
let folder: string;

beforeAll(async () => {
  adapters = await createAdapterWorld(['control']);
  world = await createClientWorld(adapters.app);
  client = world.client(adapters.acme.key);
});
afterAll(() => world.close());
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-client-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A new adapter, and a PEFT folder as trainings leave it: with files that do not belong to the adapter. */
async function adapterWithFolder(name: string): Promise<{ adapterId: string; source: string }> {
  const source = path.join(folder, 'source');
  await cp(adapters.fixture('control').adapter, source, { recursive: true });
  await writeFile(path.join(source, 'optimizer.pt'), 'state');
  return { adapterId: (await adapters.createAdapter(name)).id, source };
}

async function versionsOf(adapterId: string): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of items(listAdapterVersions, { client, path: { id: adapterId } })) ids.push(id);
  return ids;
}

test('uploads a folder, and downloads the same one', async () => {
  const { adapterId, source } = await adapterWithFolder('there-and-back');
  const version = await uploadAdapter({ client, adapterId, baseModelVersion: 'control', folder: source });
  const target = path.join(folder, 'target');
  const downloaded = await downloadAdapter({ client, adapterId, versionId: version.id, folder: target });
  expect(downloaded).toEqual(version);
  expect(await readdir(target)).toEqual(FILES);
  for (const name of FILES) {
    expect(await readFile(path.join(target, name))).toEqual(await readFile(path.join(source, name)));
  }
  expect(await folderDigest(target)).toBe(version.digest);
  expect((await readdir(folder)).sort()).toEqual(['source', 'target']);
});

test('repeats an upload whose answer was lost, which takes effect once', async () => {
  const { adapterId, source } = await adapterWithFolder('lost-answer');
  world.relay.cutAfter(0);
  const version = await uploadAdapter({ client, adapterId, baseModelVersion: 'control', folder: source });
  expect(await versionsOf(adapterId)).toEqual([version.id]);
});

test('begins an interrupted download anew', async () => {
  const { adapterId, source } = await adapterWithFolder('interrupted');
  const { id: versionId } = await uploadAdapter({ client, adapterId, baseModelVersion: 'control', folder: source });
  const target = path.join(folder, 'target');
  // The description of the version comes first, then the head of the archive and some of its files.
  world.relay.cutAfter(4000);
  await downloadAdapter({ client, adapterId, versionId, folder: target });
  expect(await readdir(target)).toEqual(FILES);
});

test('leaves nothing of a download that is not what the version is', async () => {
  const { adapterId, source } = await adapterWithFolder('corrupt');
  const version = await uploadAdapter({ client, adapterId, baseModelVersion: 'control', folder: source });
  const hash = version.digest.slice('sha256:'.length);
  const stored = path.join(adapters.app.dataDir, 'artifacts', 'sha256', hash.slice(0, 2), hash.slice(2));
  const weights = path.join(stored, 'adapter_model.safetensors');
  const bytes = await readFile(weights);
  bytes[bytes.length - 1]! ^= 1;
  await writeFile(weights, bytes);
  const request = { client, adapterId, versionId: version.id, folder: path.join(folder, 'target') };
  const error = await downloadAdapter(request).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(DigestMismatchError);
  expect(error).toMatchObject({ expected: version.digest });
  expect(await readdir(folder)).toEqual(['source']);
});

test('overwrites no folder, and sends none that is no adapter', async () => {
  const { adapterId, source } = await adapterWithFolder('refused');
  const { id: versionId } = await uploadAdapter({ client, adapterId, baseModelVersion: 'control', folder: source });
  await expect(downloadAdapter({ client, adapterId, versionId, folder: source })).rejects.toThrow('exists already');
  await rm(path.join(source, 'adapter_model.safetensors'));
  const upload = uploadAdapter({ client, adapterId, baseModelVersion: 'control', folder: source });
  await expect(upload).rejects.toThrow(`${source} is not a PEFT folder: adapter_model.safetensors cannot be read`);
});

test('uploads a dataset, and says which lines are wrong', async () => {
  const file = path.join(folder, 'rows.jsonl');
  const rows = ['training', 'search', 'gate'].map((split) => ({ prompt: split, completion: 'x', split }));
  await writeFile(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  expect(await uploadDataset({ client, name: 'rows', file })).toMatchObject({ name: 'rows', rows: 3 });
  await writeFile(file, '{"prompt": 1}\n');
  const error = await uploadDataset({ client, name: 'wrong', file }).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(ProblemError);
  expect(error).toMatchObject({ code: 'invalid_dataset', problem: { lines: [{ line: 1 }] } });
  await rm(file);
  const unreadable = uploadDataset({ client, name: 'gone', file });
  await expect(unreadable).rejects.toThrow(expect.objectContaining({ code: 'ENOENT' }) as Error);
});
