import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  createSources,
  pinnedFilesKey,
  parseRemoteSource,
  type PinnedFiles,
} from '../../../../src/platform/base-sources/index.ts';
import { createLogger } from '../../../../src/lib/logger.ts';
import { BaseFileCache } from '../../../../workers/bases/base-file-cache.ts';
import type { FetchProgress } from '../../../../workers/bases/fetch-files.ts';
import { PATIENCE_MS } from '../../../patience.ts';
import { startHub, type HubFault, type HubRequest, type HubServer } from '../../base-sources/support/hub-server.ts';
import { BASE } from '../../training/support/tiny-task.ts';

const REPO = 'acme/assistant';
const logger = createLogger({ level: 'silent', pretty: false });

let hub: HubServer;
let folder: string;
let pinned: PinnedFiles;
let bytes: number;
let loaded: string[];

beforeEach(async () => {
  hub = await startHub();
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-bases-'));
  await hub.publishFolder(REPO, BASE);
  pinned = await pin(REPO);
  bytes = pinned.files.reduce((sum, { size }) => sum + size, 0);
  loaded = [];
  hub.requests.length = 0;
});
afterEach(async () => {
  await hub.close();
  await rm(folder, { recursive: true, force: true });
});

const sources = () => createSources({ hubUrl: hub.url, hubToken: null, s3Endpoint: null, s3PathStyle: null });
const pin = (repo: string) =>
  sources().pin(parseRemoteSource(`hf://${repo}`)!, { token: null, signal: AbortSignal.timeout(PATIENCE_MS) });
const cacheOf = (maxBytes = 1e9) => new BaseFileCache({ folder, maxBytes, loaded: () => loaded, logger });

async function fetchInto(
  cache: BaseFileCache,
  { files, source }: PinnedFiles = pinned,
  options: { onProgress?: (progress: FetchProgress) => void; signal?: AbortSignal; streams?: number } = {},
) {
  const { onProgress = () => undefined, signal = AbortSignal.timeout(PATIENCE_MS), streams = 4 } = options;
  const base = { key: pinnedFilesKey({ source, files }), files };
  return cache.fetch(base, { sources: sources(), source, token: null, firstDelayMs: 1, onProgress, signal, streams });
}

/** Faults of the first requests for the weights; later ones succeed. */
function faultsOfWeights(...faults: HubFault[]): void {
  hub.fault = ({ path: file, large }: HubRequest) =>
    large && file.endsWith('.safetensors') ? (faults.shift() ?? null) : null;
}

const rangesOfWeights = () => hub.requests.filter(({ large }) => large).map(({ range }) => range);

describe('a fetch', () => {
  test('leaves exactly the files of the model, and tells how far it is', async () => {
    const cache = cacheOf();
    const seen: FetchProgress[] = [];
    const hashes = await fetchInto(cache, pinned, { onProgress: (progress) => seen.push(progress) });
    const there = cache.folderOf(pinnedFilesKey(pinned));
    expect((await readdir(there)).sort()).toEqual(pinned.files.map(({ name }) => name));
    for (const { name } of pinned.files) {
      expect(await readFile(path.join(there, name))).toEqual(await readFile(path.join(BASE, name)));
    }
    expect(hashes!.get('model.safetensors')).toBe(
      pinned.files.find(({ name }) => name === 'model.safetensors')!.sha256,
    );
    expect(seen[0]).toEqual({ done: 0, total: bytes, file: pinned.files[0]!.name });
    expect(seen.at(-1)).toEqual({ done: bytes, total: bytes, file: null });
    expect(await fetchInto(cache)).toBeNull();
  });

  test('is made once by two processes that need the base', async () => {
    const [first, second] = await Promise.all([fetchInto(cacheOf()), fetchInto(cacheOf())]);
    expect([first, second].filter((hashes) => hashes !== null)).toHaveLength(1);
    expect(rangesOfWeights()).toEqual([null]);
  });

  test('goes on after connections that are cut, also without ranges', async () => {
    faultsOfWeights({ cutAfter: 1000 }, { cutAfter: 50_000 }, { cutAfter: 60_000, ignoreRange: true });
    const cache = cacheOf();
    await fetchInto(cache);
    const ranges = rangesOfWeights();
    expect(ranges[0]).toBeNull();
    expect(ranges.slice(1).every((range) => /^bytes=[1-9]\d*-$/.test(range ?? ''))).toBe(true);
    expect(await cache.has(pinnedFilesKey(pinned))).toBe(true);
  });

  test('goes on in the next attempt where the last one was ended', async () => {
    const ending = new AbortController();
    faultsOfWeights({ hangAfter: 100_000 });
    const cache = cacheOf();
    const onProgress = ({ done, file }: FetchProgress) => {
      if (file === 'model.safetensors' && done >= 100_000) ending.abort(new Error('killed'));
    };
    await expect(fetchInto(cache, pinned, { onProgress, signal: ending.signal })).rejects.toThrow('killed');
    expect(await cache.has(pinnedFilesKey(pinned))).toBe(false);
    await fetchInto(cache);
    expect(rangesOfWeights()[1]).toMatch(/^bytes=[1-9]\d{4,}-$/);
    expect(await cache.has(pinnedFilesKey(pinned))).toBe(true);
  });

  test('fetches a file once more that came with wrong bytes, and gives up the second time', async () => {
    faultsOfWeights({ corrupt: true });
    await fetchInto(cacheOf());
    expect(rangesOfWeights()).toEqual([null, null]);
    await rm(path.join(folder, pinnedFilesKey(pinned)), { recursive: true });
    faultsOfWeights({ corrupt: true }, { corrupt: true });
    const refused = expect(fetchInto(cacheOf())).rejects;
    await refused.toMatchObject({ code: 'source_corrupt' });
    await refused.toThrow(
      /model\.safetensors of hf:\/\/acme\/assistant@[0-9a-f]{40} arrived twice with the wrong content: its SHA-256 is/,
    );
    expect(await cacheOf().has(pinnedFilesKey(pinned))).toBe(false);
  });

  test('notices a part that has changed since the last attempt', async () => {
    const cache = cacheOf();
    faultsOfWeights({ status: 404 });
    await expect(fetchInto(cache)).rejects.toMatchObject({ code: 'source_not_found' });
    const partial = `${cache.folderOf(pinnedFilesKey(pinned))}.partial`;
    await writeFile(path.join(partial, 'model.safetensors.part'), Buffer.alloc(1000, 1));
    await writeFile(path.join(partial, 'config.json'), Buffer.alloc(10, 1));
    await fetchInto(cache);
    expect(await readFile(path.join(cache.folderOf(pinnedFilesKey(pinned)), 'config.json'))).toEqual(
      await readFile(path.join(BASE, 'config.json')),
    );
  });

  test('does not take more than was registered', async () => {
    faultsOfWeights({ surplus: true });
    await expect(fetchInto(cacheOf())).rejects.toMatchObject({ code: 'source_changed' });
  });

  test('gives up for now when no byte arrives, and says why', async () => {
    hub.fault = ({ large }) => (large ? { status: 503 } : null);
    const refused = expect(fetchInto(cacheOf())).rejects;
    await refused.toMatchObject({ code: 'source_unreachable', hope: 'later' });
    await refused.toThrow(/model\.safetensors of hf:.* \(HTTP 503\): check READAPT_HUB_URL/);
    expect(rangesOfWeights()).toHaveLength(6);
  });
});

describe('several files at a time', () => {
  const SHARDS = ['a', 'b', 'c', 'd', 'e'].map((name) => `${name}.safetensors`);
  let sharded: PinnedFiles;

  beforeEach(async () => {
    const weights = await readFile(path.join(BASE, 'model.safetensors'));
    const config = await readFile(path.join(BASE, 'config.json'));
    hub.publish('acme/sharded', new Map([['config.json', config], ...SHARDS.map((name) => [name, weights] as const)]));
    sharded = await pin('acme/sharded');
    hub.requests.length = 0;
  });

  const asked = () => hub.requests.filter(({ large }) => large).map(({ path: file }) => path.basename(file));
  /** Makes requests for shards hang; resolves when `count` of them have arrived. */
  function hang(count: number, hangAfter = 1000): Promise<void> {
    return new Promise((resolve) => {
      hub.fault = ({ large }) => {
        if (!large) return null;
        if (asked().length >= count) setImmediate(resolve);
        return { hangAfter };
      };
    });
  }

  test('are as many as the setting says, and no more', async () => {
    const ending = new AbortController();
    const hanging = hang(3);
    const fetched = fetchInto(cacheOf(), sharded, { streams: 3, signal: ending.signal });
    const ended = expect(fetched).rejects.toThrow('enough');
    await hanging;
    ending.abort(new Error('enough'));
    await ended;
    expect(asked().sort()).toEqual(SHARDS.slice(0, 3));
  });

  test('are all gone on with after the fetch was ended', async () => {
    const ending = new AbortController();
    const hanging = hang(2);
    const onProgress = ({ done }: FetchProgress) => {
      if (done >= 2000) ending.abort(new Error('killed'));
    };
    const ended = expect(fetchInto(cacheOf(), sharded, { streams: 2, signal: ending.signal, onProgress })).rejects;
    await Promise.all([hanging, ended.toThrow('killed')]);
    hub.fault = () => null;
    hub.requests.length = 0;
    const seen: FetchProgress[] = [];
    const cache = cacheOf();
    await fetchInto(cache, sharded, { streams: 2, onProgress: (progress) => seen.push(progress) });
    const resumed = hub.requests.filter(({ large, range }) => large && range === 'bytes=1000-');
    expect(resumed.map(({ path: file }) => path.basename(file)).sort()).toEqual(SHARDS.slice(0, 2));
    const total = sharded.files.reduce((sum, { size }) => sum + size, 0);
    expect(seen[0]!.done).toBe(2000);
    expect(seen.at(-1)).toEqual({ done: total, total, file: null });
    expect((await readdir(cache.folderOf(pinnedFilesKey(sharded)))).sort()).toEqual(
      sharded.files.map(({ name }) => name),
    );
  });

  test('all end when one cannot be had, with its fault', async () => {
    hub.fault = ({ large, path: file }) => {
      if (!large) return null;
      return file.endsWith('b.safetensors') ? { status: 404 } : { hangAfter: 1000 };
    };
    const refused = expect(fetchInto(cacheOf(), sharded)).rejects;
    await refused.toMatchObject({ code: 'source_not_found', message: expect.stringContaining('b.safetensors') });
  });

  test('count bytes that come twice only once', async () => {
    const corrupted = new Set<string>();
    hub.fault = ({ large, path: file }) => {
      // Each of two files once, in any order: a file that is corrupt twice is given up.
      if (!large || corrupted.size === 2 || corrupted.has(file)) return null;
      corrupted.add(file);
      return { corrupt: true };
    };
    const seen: FetchProgress[] = [];
    await fetchInto(cacheOf(), sharded, { onProgress: (progress) => seen.push(progress) });
    expect(seen.every(({ done, total }) => done >= 0 && done <= total)).toBe(true);
    expect(seen.at(-1)!.done).toBe(seen.at(-1)!.total);
  });
});

describe('the bound', () => {
  const publish = async (repo: string): Promise<PinnedFiles> => {
    await hub.publishFolder(repo, BASE);
    return pin(repo);
  };

  test('removes what was not used for the longest time', async () => {
    const cache = cacheOf(2.5 * bytes);
    const others = [await publish('acme/second'), await publish('acme/third')];
    await fetchInto(cache);
    await fetchInto(cache, others[0]);
    // The first one was used last.
    await (
      await cache.hold(pinnedFilesKey(pinned))
    )();
    await fetchInto(cache, others[1]);
    expect(await Promise.all([pinned, ...others].map((one) => cache.has(pinnedFilesKey(one))))).toEqual([
      true,
      false,
      true,
    ]);
  });

  test('never removes what somebody uses or has loaded', async () => {
    const cache = cacheOf(1.5 * bytes);
    const other = await publish('acme/second');
    await fetchInto(cache);
    const release = await cacheOf().hold(pinnedFilesKey(pinned));
    const refused = expect(fetchInto(cache, other)).rejects;
    await refused.toMatchObject({ code: 'base_cache_too_small', hope: 'elsewhere' });
    await refused.toThrow(/raise READAPT_BASE_CACHE_BYTES/);
    await release();
    loaded = [pinnedFilesKey(pinned)];
    await expect(fetchInto(cache, other)).rejects.toMatchObject({ code: 'base_cache_too_small' });
    loaded = [];
    await fetchInto(cache, other);
    expect(await cache.has(pinnedFilesKey(pinned))).toBe(false);
  });

  test('removes nothing for what does not fit in any case', async () => {
    const cache = cacheOf(1.5 * bytes);
    await fetchInto(cache);
    const [first, ...rest] = pinned.files;
    const huge = { ...pinned, files: [{ ...first!, size: 1e13 }, ...rest] };
    await expect(fetchInto(cache, huge)).rejects.toMatchObject({ code: 'base_cache_too_small' });
    expect(await cache.has(pinnedFilesKey(pinned))).toBe(true);
  });

  test('removes what a process has left that died while it removed a base', async () => {
    const left = path.join(folder, 'removed-00000000-0000-0000-0000-000000000000');
    await mkdir(left);
    await writeFile(path.join(left, 'model.safetensors'), 'x');
    await fetchInto(cacheOf());
    expect(await readdir(folder)).not.toContain(path.basename(left));
  });

  test('does without the marks and locks of machines that have been silent for a minute', async () => {
    const cache = cacheOf(1.5 * bytes);
    const other = await publish('acme/second');
    await fetchInto(cache);
    const elsewhere = 'another-machine.1.00000000-0000-0000-0000-000000000000';
    const mark = path.join(folder, 'held', `${elsewhere}~${pinnedFilesKey(pinned)}.mark`);
    const lock = path.join(folder, `${pinnedFilesKey(other)}.lock`);
    await mkdir(path.dirname(mark), { recursive: true });
    await writeFile(mark, '');
    await writeFile(path.join(folder, 'owners', elsewhere), '');
    await expect(fetchInto(cache, other)).rejects.toMatchObject({ code: 'base_cache_too_small' });
    await writeFile(lock, `${elsewhere}~lock`);
    const past = new Date(Date.now() - 61_000);
    for (const file of [mark, lock]) await utimes(file, past, past);
    await fetchInto(cache, other);
    expect(await cache.has(pinnedFilesKey(other))).toBe(true);
  });

  test('does without the marks and locks of processes that have died', async () => {
    const cache = cacheOf(1.5 * bytes);
    const other = await publish('acme/second');
    await fetchInto(cache);
    await (
      await cache.hold(pinnedFilesKey(pinned))
    )();
    const [own] = await readdir(path.join(folder, 'owners'));
    // Id of a process that does not exist: no process has so large a number.
    const dead = `${own!.split('.')[0]}.999999999.00000000-0000-0000-0000-000000000000`;
    await writeFile(path.join(folder, 'held', `${dead}~${pinnedFilesKey(pinned)}.mark`), '');
    await writeFile(path.join(folder, `${pinnedFilesKey(other)}.lock`), `${dead}~lock`);
    await fetchInto(cache, other);
    expect(await cache.has(pinnedFilesKey(other))).toBe(true);
  });
});
