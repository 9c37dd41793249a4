import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RunningHashes } from '../../../src/platform/base-sources/running-hashes.ts';

const CONTENT = Buffer.from('the bytes of a shard');
const FILE = { name: 'f', size: CONTENT.length, sha256: null, gitSha1: 'given', etag: null, versionId: null };
const EXPECTED = {
  sha256: createHash('sha256').update(CONTENT).digest('hex'),
  gitSha1: createHash('sha1').update(`blob ${CONTENT.length}\0`).update(CONTENT).digest('hex'),
};

let folder: string;
let place: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-hashes-'));
  place = path.join(folder, 'f');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('what was added as it was written is not read again', async () => {
  const hashes = new RunningHashes(FILE);
  hashes.add(CONTENT.subarray(0, 7));
  hashes.add(CONTENT.subarray(7));
  // The file does not exist, so nothing can be read from it.
  await hashes.read(place, CONTENT.length);
  expect(hashes.digest()).toEqual(EXPECTED);
});

test('what an earlier attempt has left, or a write that failed, is read', async () => {
  await writeFile(place, CONTENT.subarray(0, 7));
  const hashes = new RunningHashes(FILE);
  await hashes.read(place, 7);
  hashes.add(CONTENT.subarray(7, 9));
  await writeFile(place, CONTENT);
  await hashes.read(place, CONTENT.length);
  expect(hashes.digest()).toEqual(EXPECTED);
});

test('a file that somebody has cut is read from its beginning', async () => {
  await writeFile(place, CONTENT);
  const hashes = new RunningHashes(FILE);
  hashes.add(Buffer.from('these bytes are not there any more'));
  await hashes.read(place, 5);
  hashes.add(CONTENT.subarray(5));
  expect(hashes.digest()).toEqual(EXPECTED);
});

test('no hash of Git is made where there is none to compare it with', () => {
  expect(new RunningHashes({ ...FILE, gitSha1: null }).digest().gitSha1).toBeNull();
});
