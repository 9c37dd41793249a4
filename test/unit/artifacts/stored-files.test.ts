import { createHash } from 'node:crypto';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createFilesystemStore, folderDigest, type ArtifactStore } from '../../../src/platform/artifacts/index.ts';
import { filesOfFolder } from '../../../src/platform/artifacts/stored-files.ts';
import { countStoreFaults } from '../../../src/operations/metrics/index.ts';
import { makeFolder } from './store-contract.ts';

let folder: string;
let store: ArtifactStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'readapt-files-'));
  store = await createFilesystemStore(join(folder, 'artifacts'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const put = async (name: string, text: string) =>
  (await store.putFolder(await makeFolder(folder, name, { [`${name}.txt`]: text }), 'adapter')).digest;

/** Stores a folder that takes long to read: 64 MB of zeros. @returns its digest */
async function putLarge(name: string): Promise<string> {
  const made = await makeFolder(folder, name, { [name]: '' });
  const file = await open(join(made, name), 'w');
  await file.truncate(64 * 2 ** 20);
  await file.close();
  return (await store.putFolder(made, 'adapter')).digest;
}

const HASHES_AT_HAND =
  'whoever asks for hashes that are kept, or in another line, does not wait until a large folder was read';
test(HASHES_AT_HAND, async () => {
  const [large, kept, other] = [await putLarge('large'), await put('kept', 'kept text'), await put('other', 'text')];
  await store.files(kept, { line: 'a' });
  const ended: string[] = [];
  const listed = async (digest: string, line: string) => {
    await store.files(digest, { line });
    ended.push(digest);
  };
  await Promise.all([listed(large, 'a'), listed(kept, 'a'), listed(other, 'b')]);
  expect(ended.at(-1)).toBe(large);
});

test('nothing is read for a client that has gone while it waited', async () => {
  const [large, next] = [await putLarge('ahead'), await put('next', 'next text')];
  const gone = new AbortController();
  const first = store.files(large, { line: 'a' });
  const waits = store.files(next, { line: 'a', signal: gone.signal });
  gone.abort();
  await expect(waits).rejects.toBe(gone.signal.reason);
  await first;
});

test('the hashes of thousands of folders are kept, so none of them is read again', async () => {
  const first = await makeFolder(folder, 'first', { 'a.txt': 'first text' });
  const digestOf = (text: string) => {
    const sha256 = createHash('sha256').update(text).digest('hex');
    return folderDigest([{ path: 'a.txt', bytes: text.length, sha256 }]);
  };
  const digest = digestOf('first text');
  await filesOfFolder(first, digest);
  const keep = async (n: number) => {
    const next = await makeFolder(folder, `n${n % 50}`, { 'a.txt': `${n}` });
    await filesOfFolder(next, digestOf(`${n}`));
  };
  // Runs several at a time, which is far faster on a busy machine than one after the other.
  for (let n = 0; n < 1500; n += 50) await Promise.all(Array.from({ length: 50 }, (_, more) => keep(n + more)));
  // Changed bytes would be detected if they were read.
  await writeFile(join(first, 'a.txt'), 'other text');
  expect(await filesOfFolder(first, digest)).toMatchObject([{ path: 'a.txt', bytes: 10 }]);
});

test('a folder that is not there counts as a fault of the store when its files are listed', async () => {
  const registry = new Registry();
  const counted = countStoreFaults(store, registry);
  await expect(counted.files(`sha256:${'0'.repeat(64)}`)).rejects.toMatchObject({ code: 'artifact_missing' });
  expect(await registry.metrics()).toContain('readapt_artifact_store_errors_total{code="artifact_missing"} 1');
});
