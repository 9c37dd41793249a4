import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { describeBaseModel } from '../../../core/formats/hugging-face/hugging-face-model.ts';
import { createSources, type SourceFile } from '../../../src/platform/base-sources/index.ts';
import { TryLaterError } from '../../../src/platform/queue/index.ts';
import type { Prisma } from '../../../src/platform/database/database.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { createSecretBox } from '../../../src/platform/config/secret-box.ts';
import { BaseElsewhereError } from '../../../workers/bases/base-availability.ts';
import { BaseFileCache } from '../../../workers/bases/base-file-cache.ts';
import { withFetchedBases } from '../../../workers/bases/fetch-faults.ts';
import { BaseNotFetchedError, FetchedBases, type BaseFetch } from '../../../workers/bases/local-bases.ts';
import { RefusalError } from '../../../workers/rollouts/analysis.ts';
import { withFetchedVersions } from '../../../workers/rollouts/version-fetch.ts';
import { eventually } from '../../eventually.ts';
import { startHub, type HubServer } from '../../unit/base-sources/support/hub-server.ts';
import { BASE } from '../../unit/training/support/tiny-task.ts';
import { createTestApp, type TestApp } from '../support/index.ts';

const TOKEN = 'hf_of-one-version';
const logger = createLogger({ level: 'silent', pretty: false });

let app: TestApp;
let hub: HubServer;
let folder: string;
let versions = 0;
const opened: FetchedBases[] = [];

beforeAll(async () => {
  hub = await startHub();
  app = await createTestApp({ env: { READAPT_HUB_URL: hub.url } });
  await hub.publishFolder('acme/private', BASE, TOKEN);
  await app.request({ method: 'POST', url: '/v1/base-models', payload: { name: 'assistant' } });
});
afterAll(async () => {
  await app?.close();
  await hub?.close();
});
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-bases-'));
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((local) => local.close()));
  await rm(folder, { recursive: true, force: true });
  hub.fault = () => null;
});

/** Registers the private model as another version. */
async function register() {
  const source = { kind: 'hub', repo: 'acme/private', token: TOKEN };
  const payload = { version: String(++versions), rollout: false, source };
  const answer = await app.request({ method: 'POST', url: '/v1/base-models/assistant/versions', payload });
  const { id } = answer.json<{ base_model_version: { id: string } }>().base_model_version;
  hub.requests.length = 0;
  return app.db.baseModelVersion.findUniqueOrThrow({ where: { id } });
}

function openBases(keys: readonly string[] = app.config.secretKeys): FetchedBases {
  const cache = new BaseFileCache({ folder, maxBytes: 1e9, loaded: () => [], logger });
  const sources = createSources({ hubUrl: hub.url, hubToken: null, s3Endpoint: null, s3PathStyle: null });
  const local = new FetchedBases({ db: app.db, cache, sources, box: createSecretBox(keys), logger, streams: 4 });
  opened.push(local);
  return local;
}

const wait = (patienceMs = 20_000) => ({ signal: new AbortController().signal, patienceMs });
const eventsOf = async (subjectId: string) =>
  (await app.db.event.findMany({ where: { subjectId, type: { contains: 'fetch' } }, orderBy: { id: 'asc' } })).map(
    ({ type, data }) => ({ type, data }),
  );

/** Runs a queue job, again and again while its bases are being fetched. */
async function untilRun(...job: Parameters<typeof withFetchedBases>): Promise<void> {
  const run = () =>
    withFetchedBases(...job).then(
      () => true,
      (error: unknown) => {
        if (error instanceof TryLaterError) return false;
        throw error;
      },
    );
  await eventually('the job has its bases', run);
}

test('a base is fetched with the token of its version, and what was done is told', async () => {
  const version = await register();
  const local = openBases();
  const seen: (readonly BaseFetch[])[] = [];
  const onProgress = async (fetches: readonly BaseFetch[]): Promise<void> => void seen.push(fetches);
  expect(await local.areHere([version])).toBe(false);
  await local.holding([version], () => local.fetch([version], { ...wait(), onProgress }));
  expect(await local.areHere([version])).toBe(true);
  expect(local.locate(version).path).toBe(path.join(folder, version.sourceKey!));
  const [last] = seen.at(-1)!;
  expect(last).toMatchObject({ base: { id: version.id }, file: null, done: last!.total });
  const events = await eventsOf(version.id);
  expect(events).toMatchObject([
    { type: 'base_model_version.fetching', data: { bytes_done: 0, bytes_total: last!.total } },
    { type: 'base_model_version.fetched', data: { bytes_total: last!.total } },
  ]);
  expect(JSON.stringify(events)).not.toContain(TOKEN);
});

test('a job goes back to the queue while its base is fetched, and runs when it is there', async () => {
  const version = await register();
  const local = openBases();
  hub.fault = ({ large }) => (large ? { hangAfter: 1000 } : null);
  const notes: { code: string; message: string }[] = [];
  const user = { signal: new AbortController().signal, note: async (note: (typeof notes)[0]) => void notes.push(note) };
  const ran: string[] = [];
  const work = async (): Promise<void> => void ran.push('job');
  // Part of the base has arrived when the job comes.
  await expect(local.fetch([version], wait(1))).rejects.toBeInstanceOf(TryLaterError);
  const part = path.join(folder, `${version.sourceKey!}.partial`, 'model.safetensors.part');
  await expect.poll(async () => (await stat(part)).size).toBeGreaterThan(0);
  await expect(withFetchedBases(local, [version], user, work)).rejects.toBeInstanceOf(TryLaterError);
  expect(notes).toMatchObject([{ code: 'base_fetching' }]);
  expect(notes[0]!.message).toMatch(/^a worker fetches the files of base model version \d+, \d+ % of \d+ bytes$/);
  expect(ran).toEqual([]);
  hub.fault = () => null;
  // The worker stops and the next one resumes.
  await local.close();
  await untilRun(openBases(), [version], user, work);
  expect(ran).toEqual(['job']);
  expect(hub.requests.filter(({ large }) => large).at(-1)!.range).toMatch(/^bytes=\d+-$/);
});

test('a source that refuses is not asked by every job, and the row says what everybody may know', async () => {
  const version = await register();
  const local = openBases();
  hub.fault = () => ({ status: 403 });
  const user = { signal: new AbortController().signal, note: () => Promise.resolve() };
  const failed = await untilRun(local, [version], user, () => Promise.resolve()).catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(BaseElsewhereError);
  const { problem } = failed as BaseElsewhereError;
  expect(problem).toMatchObject({ code: 'source_unauthorized' });
  expect(problem.message).toMatch(/base model version \d+ cannot be fetched: the worker may not read their source$/);
  expect(problem.message).not.toContain('acme');
  expect(problem.detail).toMatch(/READAPT_HUB_TOKEN/);
  const asked = hub.requests.length;
  await expect(local.fetch([version], wait())).rejects.toBeInstanceOf(BaseNotFetchedError);
  expect(hub.requests).toHaveLength(asked);
  expect((await eventsOf(version.id)).map(({ type }) => type)).toContain('base_model_version.not_fetched');
});

test('a worker without the secret key says so, and asks nobody', async () => {
  const version = await register();
  await expect(openBases([]).fetch([version], wait())).rejects.toThrow(/READAPT_SECRET_KEY of this worker has to be/);
  expect(hub.requests).toEqual([]);
});

test.each([
  ['has the file no more', { status: 404 }, RefusalError, /does not have them any more/],
  ['has another file', { surplus: true }, RefusalError, /have changed at their source/],
  ['cannot be read by this worker', { status: 401 }, BaseElsewhereError, /not on this worker/],
])('a rollout whose source %s', async (_what, fault, type, message) => {
  const version = await register();
  hub.fault = ({ large }) => (large ? fault : null);
  const fetching = { db: app.db, local: openBases(), signal: new AbortController().signal };
  const failed = expect(
    withFetchedVersions(fetching, { newId: version.id, oldIds: [] }, () => Promise.resolve()),
  ).rejects;
  await failed.toBeInstanceOf(type);
  await failed.toThrow(message);
});

test('a rollout does without an old version that its source does not have any more', async () => {
  const [old, version] = [await register(), await register()];
  await app.db.baseModelVersion.update({
    where: { id: old.id },
    data: { source: { ...(old.source as object), repo: 'acme/elsewhere' }, sourceKey: 'f'.repeat(40) },
  });
  const fetching = { db: app.db, local: openBases(), signal: new AbortController().signal };
  const gone = await withFetchedVersions(fetching, { newId: version.id, oldIds: [old.id] }, (found) =>
    Promise.resolve(found),
  );
  expect([...gone]).toMatchObject([[old.id, { code: 'source_not_found', base_model_version_id: old.id }]]);
});

describe('files whose source gives no hashes', () => {
  /** Version of the base without hashes, like one in a bucket. */
  async function withoutHashes(change: { fingerprint?: string | null } = {}) {
    const { id, sourceFiles } = await register();
    const files = (sourceFiles as unknown as SourceFile[]).map((file) => ({ ...file, sha256: null, gitSha1: null }));
    return app.db.baseModelVersion.update({
      where: { id },
      data: { ...change, sourceFiles: files },
    });
  }
  const filesOf = async (id: string) =>
    (await app.db.baseModelVersion.findUniqueOrThrow({ where: { id } })).sourceFiles as unknown as SourceFile[];

  test('are compared with the fingerprint, and the first fetch stores their hashes', async () => {
    const { fingerprint } = await describeBaseModel(BASE);
    const version = await withoutHashes({ fingerprint });
    const local = openBases();
    await local.fetch([version], wait());
    expect(await local.areHere([version])).toBe(true);
    const hashes = (await filesOf(version.id)).map(({ sha256 }) => sha256);
    expect(hashes.every((hash) => /^[0-9a-f]{64}$/.test(hash ?? ''))).toBe(true);
  });

  test('are not kept where they have another fingerprint than the one that was verified', async () => {
    const version = await withoutHashes({ fingerprint: 'e'.repeat(64) });
    const local = openBases();
    const failed = await local.fetch([version], wait()).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(BaseNotFetchedError);
    const { fault } = failed as BaseNotFetchedError;
    expect(fault).toMatchObject({ code: 'source_changed', hope: 'never' });
    expect(fault.message).toMatch(/other files than those that were verified: its fingerprint is [0-9a-f]{64}/);
    expect(await local.areHere([version])).toBe(false);
    expect((await readdir(folder)).filter((name) => name.includes('.partial'))).toEqual([]);
    expect((await filesOf(version.id)).every(({ sha256 }) => sha256 === null)).toBe(true);
  });

  test('are compared with what another worker has stored while they were fetched', async () => {
    const version = await withoutHashes();
    hub.fault = ({ large }) => (large ? { hangAfter: 1000 } : null);
    const local = openBases();
    await expect(local.fetch([version], wait(100))).rejects.toBeInstanceOf(TryLaterError);
    await expect.poll(() => hub.requests.filter(({ large }) => large)).toHaveLength(1);
    const files = (await filesOf(version.id)).map((file) => ({ ...file, sha256: 'a'.repeat(64) }));
    const sourceFiles = files as unknown as Prisma.InputJsonArray;
    await app.db.baseModelVersion.update({ where: { id: version.id }, data: { sourceFiles } });
    hub.cut();
    const failed = await local.fetch([version], wait()).catch((error: unknown) => error);
    expect((failed as BaseNotFetchedError).fault).toMatchObject({
      code: 'source_corrupt',
      message: expect.stringMatching(/has the SHA-256 [0-9a-f]{64} here, and a{64} where it was fetched first/),
    });
    expect(await local.areHere([version])).toBe(false);
  });
});
