import { cp, mkdtemp, readdir, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { evolutionBetween } from '../../../core/adaptation/evolutions.ts';
import { BaseCache } from '../../../core/engine/base-cache.ts';
import { plainProducts, type MatrixProducts } from '../../../core/linalg/products.ts';
import { createTinyFamily, removeTinyFamily, type TinyFamily } from '../training/support/tiny-task.ts';

let family: TinyFamily;
let folder: string;

beforeAll(async () => {
  family = await createTinyFamily();
  // Fingerprints of files are cached from two seconds after they were written: until then, they may change without a
  // new time stamp.
  await pause(2100);
});
afterAll(() => removeTinyFamily(family));
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'readapt-evolutions-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Evolution as a new process gets it, with the number of products that it computes. */
async function evolve({
  from = family.oldBase,
  to = family.newBase,
  cacheFolder = folder,
}: { from?: string; to?: string; cacheFolder?: string | null } = {}) {
  let count = 0;
  const products: MatrixProducts = {
    times: (a, b) => (count++, plainProducts.times(a, b)),
    sumOfTimesTransposed: (a, b, c, d) => (count++, plainProducts.sumOfTimesTransposed(a, b, c, d)),
    transposedTimes: (a, b) => (count++, plainProducts.transposedTimes(a, b)),
    gram: (a) => (count++, plainProducts.gram(a)),
  };
  const bases = new BaseCache({ graphCacheDir: cacheFolder });
  const evolution = await evolutionBetween(from, to, { bases, products });
  return { evolution, count };
}

const kept = () => readdir(path.join(folder, 'evolutions'));

describe('the cache of evolutions', () => {
  it('spares a later process the computation, bit by bit', async () => {
    const first = await evolve();
    expect(first.count).toBeGreaterThan(0);
    expect(await kept()).toHaveLength(1);
    expect(await evolve()).toEqual({ evolution: first.evolution, count: 0 });
  });

  it('tells pairs of versions apart, and their directions', async () => {
    await evolve();
    const back = await evolve({ from: family.newBase, to: family.oldBase });
    expect(back.count).toBeGreaterThan(0);
    expect(await kept()).toHaveLength(2);
  });

  it.each([
    ['cut', (file: string) => truncate(file, 1000)],
    [
      'changed by a bit',
      async (file: string) => {
        const bytes = await readFile(file);
        bytes[bytes.length - 100]! ^= 1;
        await writeFile(file, bytes);
      },
    ],
  ])('computes what was %s again', async (_, damage) => {
    const first = await evolve();
    const [name] = await kept();
    await damage(path.join(folder, 'evolutions', name!));
    expect(await evolve()).toEqual(first);
    expect((await evolve()).count).toBe(0);
  });

  it('knows nothing of files that have changed since', async () => {
    const old = new Date(Date.now() - 60_000);
    // The clock stands still, so that the copy stays young even if the machine stalls.
    vi.useFakeTimers({ toFake: ['Date'] });
    onTestFinished(() => void vi.useRealTimers());
    const copy = path.join(folder, 'copy');
    await cp(family.newBase, copy, { recursive: true });
    await utimes(path.join(copy, 'model.safetensors'), old, old);
    const first = await evolve({ to: copy });
    // A file that young may change again without a new time stamp, so its fingerprint is not cached.
    expect((await evolve({ to: copy })).count).toBe(first.count);
  });

  it('is left out without a cache folder', async () => {
    const first = await evolve({ cacheFolder: null });
    expect((await evolve({ cacheFolder: null })).count).toBe(first.count);
    expect(await readdir(folder)).toEqual([]);
  });
});
