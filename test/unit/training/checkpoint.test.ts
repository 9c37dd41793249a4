import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CheckpointStore } from '../../../core/training/checkpoint.ts';

let folder: string;
let store: CheckpointStore;

beforeEach(async () => {
  folder = path.join(await mkdtemp(path.join(tmpdir(), 'readapt-test-')), 'checkpoints');
  store = new CheckpointStore(folder);
});

afterEach(() => rm(path.dirname(folder), { recursive: true, force: true }));

function checkpoint(step: number) {
  return { state: { step, random: [1, 2, 3, step] }, tensors: new Map([['a', Float32Array.of(step, 0.1, -0)]]) };
}

async function files(): Promise<string[]> {
  return (await readdir(folder)).sort();
}

describe('CheckpointStore', () => {
  it('returns the latest checkpoint, bit by bit', async () => {
    expect(await store.latest()).toBeNull();
    await store.save(checkpoint(1));
    await store.save(checkpoint(2));
    const latest = (await new CheckpointStore(folder).latest())!;
    expect(latest.state).toEqual(checkpoint(2).state);
    expect(latest.tensors).toEqual(checkpoint(2).tensors);
    expect(Object.is(latest.tensors.get('a')![2], -0)).toBe(true);
  });

  it('keeps the last two checkpoints', async () => {
    for (let step = 1; step <= 5; step++) await store.save(checkpoint(step));
    expect(await files()).toEqual(['checkpoint-00000004.safetensors', 'checkpoint-00000005.safetensors']);
  });

  it.each([
    ['cut short', (bytes: Buffer) => bytes.subarray(0, bytes.length - 3)],
    ['empty', () => Buffer.alloc(0)],
    ['changed in its tensors', (bytes: Buffer) => (bytes.writeUInt8(bytes.at(-1)! ^ 1, bytes.length - 1), bytes)],
    [
      'changed in its state',
      (bytes: Buffer) => Buffer.from(bytes.toString('latin1').replace('\\"step\\":2', '\\"step\\":7'), 'latin1'),
    ],
  ])('returns the one before if the newest is %s', async (_, damage) => {
    await store.save(checkpoint(1));
    await store.save(checkpoint(2));
    const newest = path.join(folder, (await files()).at(-1)!);
    const before = await readFile(newest);
    const after = damage(Buffer.from(before));
    expect(after.equals(before)).toBe(false);
    await writeFile(newest, after);
    expect((await store.latest())?.state).toEqual(checkpoint(1).state);
  });

  it('ignores the file that a killed writer left, and removes everything when cleared', async () => {
    await store.save(checkpoint(1));
    await writeFile(path.join(folder, 'checkpoint-00000002.safetensors.tmp-0123456789ab'), 'half');
    expect((await store.latest())?.state).toEqual(checkpoint(1).state);
    await store.clear();
    await expect(readdir(folder)).rejects.toThrow('ENOENT');
  });
});
