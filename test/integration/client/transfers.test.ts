import { cp, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  items,
  listAdapterVersions,
  ProblemError,
  type ReadaptClient,
} from '../../../openapi/clients/typescript/src/index.ts';
import {
  DamagedArchiveError,
  DigestMismatchError,
  downloadAdapter,
  DownloadInterruptedError,
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

/** Creates an adapter, and a PEFT folder as left by a training, with files that do not belong to the adapter. */
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

/** Client that records the ranges of downloads and may change requests and answers. */
function downloading(change: (request: Request) => Request = (request) => request) {
  const ranges: (string | null)[] = [];
  const statuses: number[] = [];
  const fetchOnce: typeof fetch = async (input, init) => {
    const request = change(input as Request);
    const answer = await fetch(request, init);
    if (!request.url.endsWith('/download')) return answer;
    ranges.push(request.headers.get('range'));
    statuses.push(answer.status);
    return answer;
  };
  const settings = { fetch: fetchOnce, retries: { firstDelayMs: 1 } };
  return { ranges, statuses, settings, client: world.client(adapters.acme.key, settings) };
}

describe('a download that was interrupted', () => {
  let request: { adapterId: string; versionId: string; folder: string };
  let part: string;

  beforeEach(async ({ task }) => {
    const { adapterId, source } = await adapterWithFolder(`interrupted-${task.id}`);
    const { id: versionId } = await uploadAdapter({ client, adapterId, baseModelVersion: 'control', folder: source });
    request = { adapterId, versionId, folder: path.join(folder, 'target') };
    part = path.join(folder, `.target-${versionId}.part`);
  });

  /**
   * Waits until the partial file is larger than the version's description, so that an interruption loses nothing of it.
   */
  const begun = () => expect.poll(async () => (await stat(part)).size).toBeGreaterThan(1000);

  /** Downloads until the connection is cut, after the version's description and the start of the archive. */
  async function interrupt(): Promise<number> {
    const impatient = world.client(adapters.acme.key, { retries: { maxElapsedMs: 0 } });
    world.relay.cutAfter(4000, begun);
    const error = await downloadAdapter({ client: impatient, ...request }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(DownloadInterruptedError);
    const { bytes, file } = error as DownloadInterruptedError;
    expect([file, (await readFile(part)).length]).toEqual([part, bytes]);
    expect(bytes).toBeGreaterThan(1000);
    return bytes;
  }

  async function expectWhole(): Promise<void> {
    expect(await readdir(request.folder)).toEqual(FILES);
    expect((await readdir(folder)).sort()).toEqual(['source', 'target']);
  }

  test('goes on where that happened', async () => {
    const { client: noting, ranges, statuses } = downloading();
    world.relay.cutAfter(4000, begun);
    await downloadAdapter({ client: noting, ...request });
    expect([ranges, statuses]).toEqual([
      [null, expect.stringMatching(/^bytes=[1-9]\d{3}-$/)],
      [200, 206],
    ]);
    await expectWhole();
  });

  test('goes on with the next one to the same folder', async () => {
    const bytes = await interrupt();
    const { client: noting, ranges, statuses } = downloading();
    await downloadAdapter({ client: noting, ...request });
    expect([ranges, statuses]).toEqual([[`bytes=${bytes}-`], [206]]);
    await expectWhole();
  });

  test('begins anew where the service has other bytes now', async () => {
    await interrupt();
    await writeFile(part, 'other bytes than those of the archive');
    // Pretends that the partial file is of another version, whose ETag the client then sends.
    const { client: noting, statuses } = downloading((sent) => {
      if (sent.headers.has('if-range')) sent.headers.set('if-range', '"sha256:other"');
      return sent;
    });
    await downloadAdapter({ client: noting, ...request });
    expect(statuses).toEqual([200]);
    await expectWhole();
  });

  test('is taken as it is where all of it has arrived, and begun anew where more has', async () => {
    await downloadAdapter({ client, ...request });
    const { statuses, client: noting } = downloading();
    const answer = await fetch(
      `${world.relay.origin}/v1/adapters/${request.adapterId}/versions/${request.versionId}/download`,
      { headers: { authorization: `Bearer ${adapters.acme.key}` } },
    );
    const whole = Buffer.from(await answer.arrayBuffer());
    for (const content of [whole, Buffer.concat([whole, Buffer.from('more')])]) {
      await rm(request.folder, { recursive: true });
      await writeFile(part, content);
      await downloadAdapter({ client: noting, ...request });
      await expectWhole();
    }
    expect(statuses).toEqual([416, 416, 200]);
  });

  test('says when what is there is no part of it, and leaves nothing of it', async () => {
    await writeFile(part, 'something else');
    await expect(downloadAdapter({ client, ...request })).rejects.toThrow(DamagedArchiveError);
    expect(await readdir(folder)).toEqual(['source']);
    await downloadAdapter({ client, ...request });
    await expectWhole();
  });

  test('follows no link that somebody has put in its place', async () => {
    const precious = path.join(folder, 'source', 'README.md');
    await writeFile(precious, 'precious');
    await symlink(precious, part);
    await expect(downloadAdapter({ client, ...request })).rejects.toThrow('ELOOP');
    expect(await readFile(precious, 'utf8')).toBe('precious');
  });
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
