import { mkdtemp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Int8Matrix } from '../../../../core/engine/int8/rounding/int8-matrix.ts';
import { RoundedFile } from '../../../../core/engine/int8/rounding/rounded-file.ts';
import { RoundedStore } from '../../../../core/engine/int8/rounding/rounded-store.ts';
import { RoundedWeights } from '../../../../core/engine/int8/rounding/rounded-weights.ts';
import type { BaseModel } from '../../../../core/models/base-model.ts';
import { randomBase } from '../support/random-model.ts';

const BASE = randomBase();
const UP = 'model.layers.1.mlp.up_proj.weight';
const SMOOTHING = new Map([[UP, new Float32Array(BASE.config.hiddenSize).fill(2)]]);

let folder: string;
let store: RoundedStore;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'readapt-int8-'));
  store = new RoundedStore(folder);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A base without weights, which cannot be rounded. */
const unreadable = (base: BaseModel): BaseModel => ({ ...base, weights: new Map() });

/** Both forms of one matrix, as a newly started process gets them. */
async function formsOf(base: BaseModel, { kept = store, smoothing = SMOOTHING } = {}): Promise<Int8Matrix[]> {
  const rounded = new RoundedWeights({ base, smoothing, threads: 1, store: kept });
  try {
    await rounded.prepare();
    rounded.publish();
    return [await rounded.get(UP, 'forward'), await rounded.get(UP, 'backward')];
  } finally {
    await rounded.dispose();
  }
}

const files = async () => (await readdir(folder)).sort();

describe('rounded matrices', () => {
  it('are read by a later process, which needs no float32 weights, bit by bit', async () => {
    const made = await formsOf(BASE);
    expect(made[0]!.shape).toEqual([24, 40]);
    expect(made[1]!.shape).toEqual([40, 24]);
    expect(await files()).toHaveLength(1);
    expect(await formsOf(unreadable(BASE))).toEqual(made);
    expect(await formsOf(BASE, { kept: new RoundedStore(folder, 0) })).toEqual(made);
  });

  it('are rounded from weights in memory, and only those for gradients are read when they are needed', async () => {
    const made = await formsOf(BASE, { kept: new RoundedStore(folder, 0) });
    const rounded = new RoundedWeights({ base: unreadable(BASE), smoothing: SMOOTHING, threads: 1, store });
    try {
      await rounded.prepare(BASE.weights);
      const read = vi.spyOn(RoundedFile.prototype, 'read');
      expect(await rounded.get(UP, 'forward')).toEqual(made[0]);
      expect(read).not.toHaveBeenCalled();
      expect([await rounded.get(UP, 'forward'), await rounded.get(UP, 'backward')]).toEqual(made);
      expect(read).toHaveBeenCalledOnce();
    } finally {
      vi.restoreAllMocks();
      await rounded.dispose();
    }
  });

  it('are read ahead from a file, all forms for a direction, and none where nothing was kept', async () => {
    const made = await formsOf(BASE);
    const rounded = new RoundedWeights({ base: unreadable(BASE), smoothing: SMOOTHING, threads: 1, store });
    const read = vi.spyOn(RoundedFile.prototype, 'read');
    try {
      rounded.prefetch('forward');
      expect(read).not.toHaveBeenCalled();
      await rounded.prepare();
      rounded.prefetch('forward');
      expect(read).toHaveBeenCalledTimes(7 * BASE.config.numLayers);
      expect(await rounded.get(UP, 'forward')).toEqual(made[0]);
      expect(read).toHaveBeenCalledTimes(7 * BASE.config.numLayers);
    } finally {
      vi.restoreAllMocks();
      await rounded.dispose();
    }
  });

  it('are rounded anew for another base and another smoothing', async () => {
    await formsOf(BASE);
    await expect(formsOf({ ...unreadable(BASE), fingerprint: 'another' })).rejects.toThrow('no weight');
    await expect(formsOf(unreadable(BASE), { smoothing: new Map() })).rejects.toThrow('no weight');
  });

  it.each([
    [
      'a flipped bit in a matrix',
      async (file: string) => {
        const bytes = await readFile(file);
        for (let i = 0; i < 30_000 && i < bytes.length - 8000; i++) bytes[i]! ^= 1;
        await writeFile(file, bytes);
      },
    ],
    [
      'a flipped bit in the index',
      async (file: string) => {
        const bytes = await readFile(file);
        bytes[bytes.length - 60]! ^= 1;
        await writeFile(file, bytes);
      },
    ],
    ['a missing end', async (file: string) => truncate(file, (await stat(file)).size - 1)],
    ['nothing', (file: string) => writeFile(file, '')],
  ])('are rounded again where the file has %s, and kept again', async (_, damage) => {
    const made = await formsOf(BASE);
    const file = path.join(folder, (await files())[0]!);
    await damage(file);
    expect(await formsOf(BASE)).toEqual(made);
    await formsOf(BASE);
    expect(await formsOf(unreadable(BASE))).toEqual(made);
  });

  it('leave nothing behind where the verdict was against int8', async () => {
    const rounded = new RoundedWeights({ base: BASE, smoothing: SMOOTHING, threads: 1, store });
    await rounded.prepare();
    await rounded.get(UP, 'backward');
    await rounded.dispose();
    expect(await files()).toEqual([]);
  });
});

describe('the store', () => {
  it('drops the base used longest ago before it would exceed its size, and keeps none that is larger', async () => {
    await formsOf(BASE);
    const size = (await stat(path.join(folder, (await files())[0]!))).size;
    const other = { ...BASE, fingerprint: 'other' };
    const [first] = await files();
    await utimes(path.join(folder, first!), 1, 1);
    await formsOf(other, { kept: new RoundedStore(folder, 1.5 * size) });
    expect(await files()).not.toContain(first);
    expect(await files()).toHaveLength(1);
    await formsOf(BASE, { kept: new RoundedStore(folder, size / 2) });
    expect(await files()).toHaveLength(1);
  });

  it('makes its folder for this user alone, and costs nothing but time where there cannot be one', async () => {
    const inner = path.join(folder, 'a', 'b');
    const made = await formsOf(BASE, { kept: new RoundedStore(inner) });
    expect((await stat(inner)).mode & 0o777).toBe(0o700);
    await writeFile(path.join(folder, 'file'), '');
    expect(await formsOf(BASE, { kept: new RoundedStore(path.join(folder, 'file', 'int8')) })).toEqual(made);
  });

  it('are let go of where a file holds them, and read again when they are needed', async () => {
    const rounded = new RoundedWeights({ base: BASE, smoothing: SMOOTHING, threads: 1, store });
    await rounded.prepare();
    const [forward, backward] = [await rounded.get(UP, 'forward'), await rounded.get(UP, 'backward')];
    rounded.release('backward');
    expect(await rounded.get(UP, 'forward')).toBe(forward);
    const again = await rounded.get(UP, 'backward');
    expect(again).not.toBe(backward);
    expect(again).toEqual(backward);
    await rounded.dispose();
  });

  it('stay where there is no file, since rounding again would cost more than memory', async () => {
    const rounded = new RoundedWeights({ base: BASE, smoothing: SMOOTHING, threads: 1 });
    const backward = await rounded.get(UP, 'backward');
    rounded.release('backward');
    expect(await rounded.get(UP, 'backward')).toBe(backward);
    await rounded.dispose();
  });
});
