import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EngineCache } from '../../../../core/engine/cache/engine-cache.ts';

let folder: string;

beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), 'readapt-cache-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));

const bytes = (...values: number[]) => Uint8Array.from(values);
const entry = (key: string) => path.join(folder, `${key}.entry`);

/** Sets a file's times as if it had been used the given number of seconds ago. */
async function usedBefore(file: string, seconds: number): Promise<void> {
  const at = Date.now() / 1000 - seconds;
  await utimes(file, at, at);
}

describe('EngineCache', () => {
  it('gives back what was written, to whoever opens the folder, and nothing under another key', async () => {
    await new EngineCache(folder).write('one', bytes(1, 2, 3));
    expect(Array.from((await new EngineCache(folder).read('one'))!)).toEqual([1, 2, 3]);
    expect(await new EngineCache(folder).read('two')).toBeNull();
    expect(await Promise.all(['one', 'two'].map((key) => new EngineCache(folder).has(key)))).toEqual([true, false]);
  });

  it('makes its folder for this user alone', async () => {
    folder = path.join(folder, 'a', 'b');
    await new EngineCache(folder).write('one', bytes(1));
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
  });

  it.each([
    ['a flipped bit', (whole: Buffer) => whole.with(40, whole[40]! ^ 1)],
    ['a missing end', (whole: Buffer) => whole.subarray(0, -1)],
    ['a checksum alone', (whole: Buffer) => whole.subarray(0, 32)],
    ['nothing', () => Buffer.alloc(0)],
  ])('takes %s for no entry, and the next write for one', async (_, damage) => {
    const cache = new EngineCache(folder);
    const model = Uint8Array.from({ length: 100 }, (_, i) => i);
    await cache.write('one', model);
    await writeFile(entry('one'), damage(await readFile(entry('one'))));
    expect(await cache.read('one')).toBeNull();
    await cache.write('one', model);
    expect(Array.from((await cache.read('one'))!)).toEqual(Array.from(model));
  });

  it('drops what was used longest ago, by number and by size', async () => {
    const cache = new EngineCache(folder, { maxEntries: 3, maxBytes: 3 * 132 });
    for (const [age, key] of [
      [30, 'a'],
      [20, 'b'],
      [10, 'c'],
    ] as const) {
      await cache.write(key, new Uint8Array(100));
      await usedBefore(entry(key), age);
    }
    await cache.read('a');
    await cache.write('d', new Uint8Array(100));
    expect((await readdir(folder)).sort()).toEqual(['a.entry', 'c.entry', 'd.entry']);
    await usedBefore(entry('a'), 5);
    await cache.write('e', new Uint8Array(200));
    expect((await readdir(folder)).sort()).toEqual(['d.entry', 'e.entry']);
  });

  it('removes what a killed process left, and nothing that is being written or is not its own', async () => {
    const [left, fresh, foreign] = ['x.entry.tmp-0123456789ab', 'y.entry.tmp-0123456789ab', 'notes.txt'] as const;
    for (const name of [left, fresh, foreign]) await writeFile(path.join(folder, name), 'half');
    await usedBefore(path.join(folder, left), 7200);
    await usedBefore(path.join(folder, foreign), 7200);
    await new EngineCache(folder, { maxEntries: 1 }).write('one', bytes(1));
    expect((await readdir(folder)).sort()).toEqual(['notes.txt', 'one.entry', fresh]);
  });

  it('costs nothing but time where its folder cannot be', async () => {
    const file = path.join(folder, 'file');
    await writeFile(file, '');
    const cache = new EngineCache(path.join(file, 'graphs'));
    await cache.write('one', bytes(1));
    expect(await cache.read('one')).toBeNull();
  });
});
