import { randomUUID } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { CacheLocks } from '../../src/platform/artifacts/cache/cache-locks.ts';
import { createLocalCache, type Fetch, type LocalCache } from '../../src/platform/artifacts/cache/local-cache.ts';
import type { ArtifactStore } from '../../src/platform/artifacts/index.ts';
import { openTemporaries } from '../../src/platform/artifacts/temporaries.ts';
import { sha256 } from '../unit/artifacts/store-contract.ts';
import { openTestStore } from './support/open-test-store.ts';
import { startS3Server, type S3Server } from './support/versitygw.ts';

const KIB = 1024;
let server: S3Server;
let folder: string;
let store: ArtifactStore;
const root = () => path.join(folder, 'artifact-cache');

beforeAll(async () => {
  server = await startS3Server();
});
afterAll(() => server.remove());
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-cache-'));
  const env = { READAPT_ARTIFACT_CACHE_SIZE: '1MiB' };
  ({ store } = await openTestStore(server, { prefix: randomUUID(), dataDir: folder, env }));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Stores a file of 300 KiB. */
const put = async (letter: string) =>
  (await store.putFile(Readable.from([Buffer.alloc(300 * KIB, letter)]), 'dataset')).digest;
const isHere = (digest: string) =>
  stat(path.join(root(), 'sha256', digest.slice(7, 9), digest.slice(9))).then(
    () => true,
    () => false,
  );
/** Sets the last uses of copies an hour apart, the first one's longest ago. */
async function used(...digests: string[]): Promise<void> {
  for (const [index, digest] of digests.entries()) {
    const time = new Date(Date.now() - (digests.length - index) * 3_600_000);
    await utimes(path.join(root(), 'used', digest.slice(7)), time, time);
  }
}

test('what was used longest ago makes room for what is fetched', async () => {
  const [a, b, c, d] = [await put('a'), await put('b'), await put('c'), await put('d')];
  for (const digest of [a, b, c]) await store.localPath(digest);
  await used(a, b, c);
  await store.localPath(a);
  await store.localPath(d);
  expect(await Promise.all([a, b, c, d].map(isHere))).toEqual([true, false, true, true]);
  expect((await readFile(await store.localPath(b))).equals(Buffer.alloc(300 * KIB, 'b'))).toBe(true);
});

test('what somebody holds stays beyond the limit, and goes when nobody does', async () => {
  const all = [await put('a'), await put('b'), await put('c'), await put('d'), await put('e')];
  await store.holding(async (held) => {
    const paths = [];
    for (const digest of all) paths.push(await held.localPath(digest));
    for (const one of paths) expect((await readFile(one)).length).toBe(300 * KIB);
  });
  await used(...all);
  await store.localPath(await put('f'));
  expect(await Promise.all(all.map(isHere))).toEqual([false, false, false, true, true]);
  expect(await readdir(path.join(root(), 'held'))).toEqual([]);
});

test('a copy that has changed on the disk is fetched again where it is verified', async () => {
  const digest = await put('a');
  const copy = await store.localPath(digest);
  await chmod(copy, 0o644);
  await writeFile(copy, 'broken');
  expect((await readFile(await store.localPath(digest, { verify: true }))).equals(Buffer.alloc(300 * KIB, 'a'))).toBe(
    true,
  );
});

/** Creates a cache with a source that counts its requests. */
async function counted(
  text: string,
): Promise<{ cache: LocalCache; fetch: Fetch; digest: string; count: () => number }> {
  const cache = await createLocalCache({ temporaries: await openTemporaries(root()), limitBytes: 1000 });
  let count = 0;
  const fetch: Fetch = {
    bytes: () => Promise.resolve(text.length),
    to: async (file) => {
      count++;
      await writeFile(file, text);
    },
  };
  return { cache, fetch, digest: `sha256:${sha256(text)}`, count: () => count };
}

test('many who want the same at the same time fetch it once', async () => {
  const { cache, fetch, digest, count } = await counted('once');
  const paths = await Promise.all(Array.from({ length: 8 }, () => cache.use(digest, fetch)));
  expect(new Set(paths).size).toBe(1);
  expect(count()).toBe(1);
});

test.each([
  ['that is missing', false],
  ['that has changed on the disk', true],
])('a copy %s is fetched once, also if another process had it fetched in between', async (_, verify) => {
  const { cache, fetch, digest, count } = await counted('in between');
  if (verify) {
    const copy = await cache.use(digest, fetch);
    await chmod(copy, 0o644);
    await writeFile(copy, 'broken');
  }
  const before = count();
  // The second to find the copy missing or changed gets the lock once the first has its copy.
  let fetched: Promise<unknown> = Promise.resolve();
  const { tryWith } = CacheLocks.prototype;
  const late = async function (this: CacheLocks, name: string, work: () => Promise<unknown>) {
    await fetched;
    return tryWith.call(this, name, work);
  };
  const spy = vi.spyOn(CacheLocks.prototype, 'tryWith');
  spy.mockImplementationOnce(tryWith).mockImplementationOnce(late);
  const uses = [cache.use(digest, fetch, { verify }), cache.use(digest, fetch, { verify })];
  fetched = Promise.race(uses);
  const paths = await Promise.all(uses).finally(() => spy.mockRestore());
  expect(await readFile(paths[1]!, 'utf8')).toBe('in between');
  expect(count() - before).toBe(1);
});

test('locks and pins of dead processes hold nothing up', async () => {
  const { cache, fetch, digest } = await counted('text');
  const machine = (await readdir(path.join(root(), 'owners')))[0]!.split('.')[0]!;
  // No process has this number.
  const dead = `${machine}.4194999.gone~`;
  await writeFile(path.join(root(), `${digest.slice(7)}.lock`), `${dead}lock`);
  await mkdir(path.join(root(), 'held'), { recursive: true });
  await writeFile(path.join(root(), 'held', `${dead}${digest.slice(7)}.x`), '');
  expect(await readFile(await cache.use(digest, fetch), 'utf8')).toBe('text');
  const { cache: other, fetch: larger, digest: second } = await counted('x'.repeat(999));
  await other.use(second, larger);
  expect(await isHere(digest)).toBe(false);
});

test('a fetch that fails leaves nothing, and the next one is tried', async () => {
  const { cache, fetch, digest } = await counted('text');
  const failing = { ...fetch, to: () => Promise.reject(new Error('the line is cut')) };
  await expect(cache.use(digest, failing)).rejects.toThrow('the line is cut');
  expect(await isHere(digest)).toBe(false);
  expect(await readFile(await cache.use(digest, fetch), 'utf8')).toBe('text');
  for (const name of ['held', 'tmp']) expect(await readdir(path.join(root(), name)), name).toEqual([]);
  expect((await readdir(root())).filter((name) => name.includes('.lock'))).toEqual([]);
});

const SILENT_LOCK =
  'the lock of a process that another machine or container had holds nothing up after a minute of silence';
test(SILENT_LOCK, async () => {
  const { cache, fetch, digest } = await counted('text');
  const elsewhere = 'another-machine.1.00000000-0000-0000-0000-000000000000';
  await writeFile(path.join(root(), 'owners', elsewhere), '');
  const lock = path.join(root(), `${digest.slice(7)}.lock`);
  await writeFile(lock, `${elsewhere}~lock`);
  const past = new Date(Date.now() - 61_000);
  await utimes(lock, past, past);
  expect(await readFile(await cache.use(digest, fetch), 'utf8')).toBe('text');
});
