import { mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeFileAtomic, writeFolderAtomic } from '../../../core/formats/atomic-file.ts';
import { temporaryFolder } from './support/folders.ts';

describe('writeFileAtomic', () => {
  it('writes text, bytes, and what a function writes', async () => {
    const folder = await temporaryFolder();
    await writeFileAtomic(join(folder, 'a'), 'héllo');
    await writeFileAtomic(join(folder, 'a'), Buffer.from('bytes'));
    expect(await readFile(join(folder, 'a'), 'utf8')).toBe('bytes');
    await writeFileAtomic(join(folder, 'a'), async (handle) => void (await handle.write('handle')));
    expect(await readFile(join(folder, 'a'), 'utf8')).toBe('handle');
    expect(await readdir(folder)).toEqual(['a']);
  });

  it('keeps the old file and leaves nothing else when writing fails half-way', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'a'), 'old');
    const broken = writeFileAtomic(join(folder, 'a'), async (handle) => {
      await handle.write('half');
      throw new Error('disk full');
    });
    await expect(broken).rejects.toThrow('disk full');
    expect(await readFile(join(folder, 'a'), 'utf8')).toBe('old');
    expect(await readdir(folder)).toEqual(['a']);
  });

  it('removes what a killed writer left of the same name, and not what one at work holds', async () => {
    const folder = await temporaryFolder();
    const [old, fresh, other] = ['a.tmp-0123456789ab', 'a.tmp-ba9876543210', 'b.tmp-0123456789ab'];
    for (const name of [old, fresh, other]) await writeFile(join(folder, name), '');
    const yesterday = new Date(Date.now() - 86_400_000);
    for (const name of [old, other]) await utimes(join(folder, name), yesterday, yesterday);
    await writeFileAtomic(join(folder, 'a'), 'new');
    expect((await readdir(folder)).sort()).toEqual(['a', fresh, other]);
  });
});

describe('writeFolderAtomic', () => {
  it('shows the folder only when it is whole', async () => {
    const root = await temporaryFolder();
    const target = join(root, 'deep', 'target');
    await writeFolderAtomic(target, async (folder) => {
      await writeFileAtomic(join(folder, 'one'), '1');
      expect(await readdir(join(root, 'deep'))).not.toContain('target');
      await writeFileAtomic(join(folder, 'two'), '2');
    });
    expect((await readdir(target)).sort()).toEqual(['one', 'two']);
    expect(await readdir(join(root, 'deep'))).toEqual(['target']);
  });

  it('leaves neither target nor leftovers when it fails half-way, and a retry succeeds', async () => {
    const root = await temporaryFolder();
    const target = join(root, 'target');
    const build = async (folder: string) => writeFileAtomic(join(folder, 'one'), '1');
    const failed = writeFolderAtomic(target, async (folder) => {
      await build(folder);
      throw new Error('killed');
    });
    await expect(failed).rejects.toThrow('killed');
    expect(await readdir(root)).toEqual([]);
    await writeFolderAtomic(target, build);
    expect(await readdir(root)).toEqual(['target']);
  });

  it('refuses to overwrite unless told to replace', async () => {
    const root = await temporaryFolder();
    const target = join(root, 'target');
    await mkdir(target);
    await writeFile(join(target, 'old'), '');
    const build = async (folder: string) => writeFileAtomic(join(folder, 'new'), '');
    await expect(writeFolderAtomic(target, build)).rejects.toThrow(/ENOTEMPTY|EEXIST/);
    expect(await readdir(target)).toEqual(['old']);
    await writeFolderAtomic(target, build, { replace: true });
    expect(await readdir(target)).toEqual(['new']);
    expect(await readdir(root)).toEqual(['target']);
  });
});
