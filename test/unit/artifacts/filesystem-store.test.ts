import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFilesystemStore, type ArtifactStore } from '../../../src/platform/artifacts/index.ts';
import { writeHashed } from '../../../src/platform/artifacts/durable-files.ts';
import { toStorageError } from '../../../src/platform/artifacts/storage-errors.ts';
import { bytesOf, describeStore } from './store-contract.ts';

let folder: string;
let root: string;
let store: ArtifactStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'readapt-store-'));
  root = join(folder, 'artifacts');
  store = await createFilesystemStore(root);
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Counts stored entries and temporary files. */
async function entries(): Promise<{ stored: number; temporary: number }> {
  let stored = 0;
  for (const prefix of await readdir(join(root, 'sha256'))) {
    stored += (await readdir(join(root, 'sha256', prefix))).length;
  }
  return { stored, temporary: (await readdir(join(root, 'tmp'))).length };
}

describeStore(async (at) => {
  root = join(at, 'artifacts');
  const opened = await createFilesystemStore(root);
  return {
    store: opened,
    entries,
    damage: async (digest, file, text) => {
      const stored = await opened.localPath(digest);
      const path = file === null ? stored : join(stored, file);
      await chmod(path, 0o644);
      await writeFile(path, text);
    },
  };
});

describe('a disk that cannot take more', () => {
  it('is named storage_full', async () => {
    // /dev/full answers ENOSPC to every write; `wx` refuses a file that exists, so the write itself is made to fail.
    const full = await writeFile('/dev/full', 'x').catch((error: unknown) => error);
    expect(full).toMatchObject({ code: 'ENOSPC' });
    expect(toStorageError(full)).toMatchObject({ code: 'storage_full', status: 507 });
    async function* source() {
      yield Buffer.from('x');
      throw full;
    }
    await expect(store.putFile(source(), 'dataset')).rejects.toMatchObject({ code: 'storage_full' });
    expect(await entries()).toEqual({ stored: 0, temporary: 0 });
  });

  it('is named storage_read_only when it is mounted so, and other errors stay what they are', async () => {
    const readOnly = Object.assign(new Error('read-only'), { code: 'EROFS' });
    expect(toStorageError(readOnly)).toMatchObject({ code: 'storage_read_only', status: 507 });
    const exists = await writeHashed(folder, bytesOf('x')).catch((error: unknown) => error);
    expect(toStorageError(exists)).toBe(exists);
  });
});
