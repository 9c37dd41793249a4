import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ArtifactStore } from '../../../src/platform/artifacts/index.ts';
import { folderDigest } from '../../../src/platform/artifacts/manifest.ts';

/** Store under test, with access that bypasses it. */
export interface TestStore {
  readonly store: ArtifactStore;
  /** Number of stored files and folders, and of temporary files of unfinished puts. */
  entries(): Promise<{ stored: number; temporary: number }>;
  /** Overwrites a stored file, or a file of a stored folder, bypassing the store. */
  damage(digest: string, file: string | null, text: string): Promise<void>;
}

export const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
export const bytesOf = (text: string) => Readable.from([Buffer.from(text)]);

export async function makeFolder(parent: string, name: string, files: Record<string, string>): Promise<string> {
  const path = join(parent, name);
  for (const [file, text] of Object.entries(files)) {
    await mkdir(join(path, file, '..'), { recursive: true });
    await writeFile(join(path, file), text);
  }
  return path;
}

/**
 * Defines the tests that every store must pass.
 * @param open makes an empty store; the folder is for its files and is removed afterwards
 */
export function describeStore(open: (folder: string) => Promise<TestStore>): void {
  let folder: string;
  let tested: TestStore;
  let store: ArtifactStore;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'readapt-store-'));
    tested = await open(folder);
    store = tested.store;
  });
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });
  const entries = () => tested.entries();
  const make = (name: string, files: Record<string, string>) => makeFolder(folder, name, files);

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
      const put = await store.putFolder(await make('a', { f: 'x' }), 'adapter');
      const manifest = `readapt folder 1\n${JSON.stringify(['f', 1, sha256('x')])}\n`;
      expect(put.digest).toBe(`sha256:${sha256(manifest)}`);
      await expect(store.putFile(bytesOf(manifest), 'dataset')).rejects.toThrow(/stored as a folder, expected a file/);
    });
  });

  describe('folders', () => {
    const files = { 'b.txt': 'two', 'a.txt': 'one', 'deep/er/c.txt': 'three' };

    it('have a digest of names and content alone, and are read-only', async () => {
      const put = await store.putFolder(await make('first', files), 'adapter');
      const again = await store.putFolder(await make('second', { ...files }), 'adapter');
      const lines = Object.entries(files).map(([path, text]) => ({ path, bytes: text.length, sha256: sha256(text) }));
      expect(put).toEqual({ digest: folderDigest(lines), kind: 'adapter', bytes: 11 });
      expect(again.digest).toBe(put.digest);
      const path = await store.localPath(put.digest);
      expect(await readFile(join(path, 'deep/er/c.txt'), 'utf8')).toBe('three');
      for (const inside of ['.', 'a.txt', 'deep', 'deep/er', 'deep/er/c.txt']) {
        expect((await stat(join(path, inside))).mode & 0o222, inside).toBe(0);
      }
      const renamed = await store.putFolder(await make('third', { ...files, 'd.txt': '' }), 'adapter');
      expect(renamed.digest).not.toBe(put.digest);
    });

    it('can be put by many at the same time', async () => {
      const source = await make('source', files);
      const puts = await Promise.all(Array.from({ length: 8 }, () => store.putFolder(source, 'adapter')));
      expect(await entries()).toEqual({ stored: 1, temporary: 0 });
      await store.verify(puts[0]!.digest);
    });

    it('with a link in them are refused', async () => {
      const source = await make('source', files);
      await symlink('/etc/passwd', join(source, 'link'));
      await expect(store.putFolder(source, 'adapter')).rejects.toThrow(/link is a link or a device/);
      expect(await entries()).toEqual({ stored: 0, temporary: 0 });
    });

    it('come back as a tar archive that is the same each time', async () => {
      const { digest } = await store.putFolder(await make('source', files), 'adapter');
      const described = await store.tarArchive(digest, { prefix: 'mine' });
      const archive = await buffer(described.read());
      expect(described.bytes).toBe(archive.length);
      for (const [start, end] of [
        [0, 0],
        [511, 514],
        [700, archive.length - 1],
      ] as const) {
        const part = await buffer(described.read({ start, end }));
        expect(part.equals(archive.subarray(start, end + 1)), `${start}-${end}`).toBe(true);
      }
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

  describe('the files of a folder', () => {
    const files = { 'a.json': '{}', 'b.bin': 'some bytes', empty: '' };

    it('are listed with their hashes, and are read in whole and in part', async () => {
      const { digest } = await store.putFolder(await make('source', files), 'adapter');
      const listed = await store.files(digest);
      expect(listed.map(({ path, bytes, sha256: hash }) => ({ path, bytes, sha256: hash }))).toEqual(
        Object.entries(files).map(([path, text]) => ({ path, bytes: text.length, sha256: sha256(text) })),
      );
      const [, file] = listed;
      expect((await buffer(Readable.from(file!.read(0, file!.bytes)))).toString()).toBe('some bytes');
      expect((await buffer(Readable.from(file!.read(5, 7)))).toString()).toBe('by');
    });

    it('are those of a folder that is there', async () => {
      const made = await store.putFolder(await make('source', files), 'adapter');
      await store.files(made.digest);
      await store.remove(made.digest);
      await expect(store.files(made.digest)).rejects.toMatchObject({ code: 'artifact_missing' });
    });
  });

  describe('integrity', () => {
    it('verify tells content that has changed', async () => {
      const file = await store.putFile(bytesOf('hello'), 'dataset');
      const made = await store.putFolder(await make('a', { f: 'x', g: 'y' }), 'adapter');
      await store.verify(file.digest);
      await store.verify(made.digest);
      await tested.damage(file.digest, null, 'jello');
      await tested.damage(made.digest, 'g', 'z');
      await expect(store.verify(file.digest)).rejects.toMatchObject({ code: 'artifact_corrupt' });
      await expect(store.verify(made.digest)).rejects.toMatchObject({ code: 'artifact_corrupt' });
      for (const { digest } of [file, made]) {
        await expect(store.localPath(digest, { verify: true })).rejects.toMatchObject({ code: 'artifact_corrupt' });
      }
    });

    it('what is missing or no digest is named', async () => {
      const digest = `sha256:${sha256('nothing')}`;
      expect(await store.has(digest)).toBe(false);
      await expect(store.localPath(digest)).rejects.toMatchObject({ code: 'artifact_missing' });
      await expect(store.tarArchive(digest)).rejects.toMatchObject({ code: 'artifact_missing' });
      await expect(store.verify('sha256:../../etc')).rejects.toThrow(/is not an artifact digest/);
    });

    it('remove takes read-only folders away', async () => {
      const { digest } = await store.putFolder(await make('a', { 'in/side': 'x' }), 'adapter');
      await store.remove(digest);
      await store.remove(digest);
      expect(await store.has(digest)).toBe(false);
      expect((await entries()).temporary).toBe(0);
    });
  });

  describe('quarantine', () => {
    it('takes content out of the store, and the same content can be put again', async () => {
      const file = await store.putFile(bytesOf('hello'), 'dataset');
      const made = await store.putFolder(await make('a', { f: 'x', 'in/side': 'yy' }), 'adapter');
      expect(await Promise.all([file, made].map(({ digest }) => store.bytesOf(digest)))).toEqual([5, 3]);
      await tested.damage(file.digest, null, 'not hello');
      expect(await store.bytesOf(file.digest)).toBe(9);
      for (const { digest } of [file, made]) {
        expect(await store.quarantine(digest)).toContain('quarantine/');
        expect(await store.has(digest)).toBe(false);
        expect(await store.bytesOf(digest)).toBe(null);
        await expect(store.quarantine(digest)).rejects.toMatchObject({ code: 'artifact_missing' });
      }
      expect(await entries()).toEqual({ stored: 0, temporary: 0 });
      await store.putFile(bytesOf('hello'), 'dataset');
      await store.putFolder(join(folder, 'a'), 'adapter');
      for (const { digest } of [file, made]) await store.verify(digest);
    });
  });

  describe('a listing', () => {
    it('is in the order of the digests, with the time of the last put', async () => {
      const put = [];
      for (let i = 0; i < 8; i++) put.push((await store.putFile(bytesOf(`file ${i}`), 'dataset')).digest);
      put.push((await store.putFolder(await make('a', { f: 'x' }), 'adapter')).digest);
      const listed = async () => {
        const found = new Map<string, number>();
        for await (const { digest, storedAt } of store.list()) found.set(digest, storedAt.getTime());
        return found;
      };
      const before = await listed();
      expect([...before.keys()]).toEqual(put.sort());
      // Times in a listing may be rounded to seconds.
      await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(Math.max(...before.values()) + 1000), 3000);
      const again = await store.putFile(bytesOf('file 3'), 'dataset');
      const after = await listed();
      expect([...after.keys()]).toEqual(put);
      for (const [digest, time] of after) {
        if (digest === again.digest) expect(time).toBeGreaterThan(before.get(digest)!);
        else expect(time).toBe(before.get(digest));
      }
    });
  });

  describe('local paths', () => {
    it('that are held stay until the work has ended', async () => {
      const { digest } = await store.putFile(bytesOf('held'), 'dataset');
      const text = await store.holding(async (held) => readFile(await held.localPath(digest), 'utf8'));
      expect(text).toBe('held');
    });
  });

  describe('scratch folders', () => {
    it('are removed when the work is done or throws', async () => {
      const seen = await store.withScratch(async (scratch) => {
        await writeFile(join(scratch, 'f'), 'x');
        return scratch;
      });
      await expect(stat(seen)).rejects.toMatchObject({ code: 'ENOENT' });
      await expect(store.withScratch(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
      expect((await entries()).temporary).toBe(0);
    });
  });
}
