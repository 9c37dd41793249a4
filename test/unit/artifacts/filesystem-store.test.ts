import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFilesystemStore, type ArtifactStore } from '../../../src/artifacts/index.ts';
import { writeHashed } from '../../../src/artifacts/durable-files.ts';
import { folderDigest } from '../../../src/artifacts/manifest.ts';
import { toStorageError } from '../../../src/artifacts/storage-errors.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const bytesOf = (text: string) => Readable.from([Buffer.from(text)]);

let folder: string;
let root: string;
let store: ArtifactStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'readapt-store-'));
  root = join(folder, 'artifacts');
  store = await createFilesystemStore(root);
});

afterEach(async () => {
  const stored = await readdir(join(root, 'sha256'), { recursive: true }).catch(() => []);
  for (const name of stored) await chmod(join(root, 'sha256', name), 0o755);
  await rm(folder, { recursive: true, force: true });
});

async function makeFolder(name: string, files: Record<string, string>): Promise<string> {
  const path = join(folder, name);
  for (const [file, text] of Object.entries(files)) {
    await mkdir(join(path, file, '..'), { recursive: true });
    await writeFile(join(path, file), text);
  }
  return path;
}

/** Every stored file or folder, and every temporary. */
async function entries(): Promise<{ stored: number; temporary: number }> {
  let stored = 0;
  for (const prefix of await readdir(join(root, 'sha256'))) {
    stored += (await readdir(join(root, 'sha256', prefix))).length;
  }
  return { stored, temporary: (await readdir(join(root, 'tmp'))).length };
}

describe('files', () => {
  it('are found by the SHA-256 of their content', async () => {
    const put = await store.putFile(bytesOf('hello'), 'dataset');
    expect(put).toEqual({ digest: `sha256:${sha256('hello')}`, kind: 'dataset', bytes: 5 });
    expect(await readFile(await store.localPath(put.digest), 'utf8')).toBe('hello');
    expect((await buffer(await store.createReadStream(put.digest))).toString()).toBe('hello');
    expect(await store.has(put.digest)).toBe(true);
    expect((await stat(await store.localPath(put.digest))).mode & 0o777).toBe(0o444);
    expect(await entries()).toEqual({ stored: 1, temporary: 0 });
  });

  it('are stored once, also when many put the same content at the same time', async () => {
    await writeFile(join(folder, 'same'), 'same');
    const puts = await Promise.all(Array.from({ length: 8 }, () => store.putFile(join(folder, 'same'), 'dataset')));
    expect(new Set(puts.map((put) => put.digest)).size).toBe(1);
    expect(await entries()).toEqual({ stored: 1, temporary: 0 });
    await store.verify(puts[0]!.digest);
  });

  it('leave nothing when their source fails half-way', async () => {
    async function* broken() {
      yield Buffer.alloc(1 << 20);
      throw new Error('connection lost');
    }
    await expect(store.putFile(broken(), 'dataset')).rejects.toThrow('connection lost');
    expect(await entries()).toEqual({ stored: 0, temporary: 0 });
  });

  it('are not taken for the folder whose manifest they spell out', async () => {
    const put = await store.putFolder(await makeFolder('a', { f: 'x' }), 'adapter');
    const manifest = `readapt folder 1\n${JSON.stringify(['f', 1, sha256('x')])}\n`;
    expect(put.digest).toBe(`sha256:${sha256(manifest)}`);
    await expect(store.putFile(bytesOf(manifest), 'dataset')).rejects.toThrow(/stored as a folder, expected a file/);
  });
});

describe('folders', () => {
  const files = { 'b.txt': 'two', 'a.txt': 'one', 'deep/er/c.txt': 'three' };

  it('have a digest of names and content alone, and are read-only', async () => {
    const put = await store.putFolder(await makeFolder('first', files), 'adapter');
    const again = await store.putFolder(await makeFolder('second', { ...files }), 'adapter');
    const lines = Object.entries(files).map(([path, text]) => ({ path, bytes: text.length, sha256: sha256(text) }));
    expect(put).toEqual({ digest: folderDigest(lines), kind: 'adapter', bytes: 11 });
    expect(again.digest).toBe(put.digest);
    const path = await store.localPath(put.digest);
    expect(await readFile(join(path, 'deep/er/c.txt'), 'utf8')).toBe('three');
    for (const inside of ['.', 'a.txt', 'deep', 'deep/er', 'deep/er/c.txt']) {
      expect((await stat(join(path, inside))).mode & 0o222, inside).toBe(0);
    }
    const renamed = await store.putFolder(await makeFolder('third', { ...files, 'd.txt': '' }), 'adapter');
    expect(renamed.digest).not.toBe(put.digest);
  });

  it('can be put by many at the same time', async () => {
    const source = await makeFolder('source', files);
    const puts = await Promise.all(Array.from({ length: 8 }, () => store.putFolder(source, 'adapter')));
    expect(await entries()).toEqual({ stored: 1, temporary: 0 });
    await store.verify(puts[0]!.digest);
  });

  it('with a link in them are refused', async () => {
    const source = await makeFolder('source', files);
    await symlink('/etc/passwd', join(source, 'link'));
    await expect(store.putFolder(source, 'adapter')).rejects.toThrow(/link is a link or a device/);
    expect(await entries()).toEqual({ stored: 0, temporary: 0 });
  });

  it('come back as a tar archive that is the same each time', async () => {
    const { digest } = await store.putFolder(await makeFolder('source', files), 'adapter');
    const described = await store.tarArchive(digest, { prefix: 'mine' });
    const archive = await buffer(described.read());
    expect(described.bytes).toBe(archive.length);
    expect((await buffer((await store.tarArchive(digest, { prefix: 'mine' })).read())).equals(archive)).toBe(true);
    const out = join(folder, 'out');
    await mkdir(out);
    await pipeline(Readable.from([archive]), extract({ cwd: out, strict: true }));
    for (const [file, text] of Object.entries(files)) {
      expect(await readFile(join(out, 'mine', file), 'utf8')).toBe(text);
    }
    expect((await store.putFolder(join(out, 'mine'), 'adapter')).digest).toBe(digest);
  });
});

describe('integrity', () => {
  it('verify tells content that changed on disk', async () => {
    const file = await store.putFile(bytesOf('hello'), 'dataset');
    const made = await store.putFolder(await makeFolder('a', { f: 'x', g: 'y' }), 'adapter');
    await store.verify(file.digest);
    await store.verify(made.digest);
    await chmod(await store.localPath(file.digest), 0o644);
    await writeFile(await store.localPath(file.digest), 'jello');
    await chmod(join(await store.localPath(made.digest), 'g'), 0o644);
    await writeFile(join(await store.localPath(made.digest), 'g'), 'z');
    await expect(store.verify(file.digest)).rejects.toMatchObject({ code: 'artifact_corrupt' });
    await expect(store.verify(made.digest)).rejects.toMatchObject({ code: 'artifact_corrupt' });
  });

  it('what is missing or no digest is named', async () => {
    const digest = `sha256:${sha256('nothing')}`;
    expect(await store.has(digest)).toBe(false);
    await expect(store.localPath(digest)).rejects.toMatchObject({ code: 'artifact_missing' });
    await expect(store.tarArchive(digest)).rejects.toMatchObject({ code: 'artifact_missing' });
    await expect(store.verify('sha256:../../etc')).rejects.toThrow(/is not an artifact digest/);
  });

  it('remove takes read-only folders away', async () => {
    const { digest } = await store.putFolder(await makeFolder('a', { 'in/side': 'x' }), 'adapter');
    await store.remove(digest);
    await store.remove(digest);
    expect(await store.has(digest)).toBe(false);
    expect((await entries()).temporary).toBe(0);
  });
});

describe('temporaries', () => {
  it('of crashed puts are removed at start once they are an hour old', async () => {
    const old = join(root, 'tmp', 'old');
    await mkdir(join(old, 'inside'), { recursive: true });
    await writeFile(join(root, 'tmp', 'old-file'), 'x');
    await writeFile(join(root, 'tmp', 'running'), 'x');
    const past = new Date(Date.now() - 3_700_000);
    await utimes(old, past, past);
    await utimes(join(root, 'tmp', 'old-file'), past, past);
    await createFilesystemStore(root);
    expect(await readdir(join(root, 'tmp'))).toEqual(['running']);
  });

  it('scratch folders are removed when the work is done or throws', async () => {
    const seen = await store.withScratch(async (scratch) => {
      await writeFile(join(scratch, 'f'), 'x');
      return scratch;
    });
    await expect(stat(seen)).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(store.withScratch(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect((await entries()).temporary).toBe(0);
  });
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
