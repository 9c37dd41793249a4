import { chmod, mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { create } from 'tar';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { tarOf } from '../../../src/platform/artifacts/tar/tar-archive.ts';

/** Sizes of several blocks, exactly one, less than one, and none. */
const SIZES = { 'adapter_config.json': 100, 'adapter_model.safetensors': 200_000, empty: 0, 'in/side': 512 };

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-tar-'));
  await mkdir(path.join(folder, 'in'));
  for (const [name, size] of Object.entries(SIZES)) {
    const bytes = Buffer.from(Array.from({ length: size }, (_, i) => (i * 7 + size) % 256));
    await writeFile(path.join(folder, name), bytes);
    await chmod(path.join(folder, name), 0o444);
  }
});
afterEach(() => rm(folder, { recursive: true, force: true }));

// Downloads started by an earlier version, which used node-tar for its archives, resume with this one.
test.each(['', 'mine-1', `${'a'.repeat(99)}-12345`])(
  'below "%s" it is what node-tar makes of the folder',
  async (prefix) => {
    const options = { cwd: folder, portable: true, mtime: new Date(0), prefix, strict: true, noDirRecurse: true };
    const reference = await buffer(create({ ...options, sync: false }, Object.keys(SIZES).sort()));
    const archive = await tarOf(folder, prefix);
    expect(archive.bytes).toBe(reference.length);
    expect((await buffer(archive.read())).equals(reference)).toBe(true);
  },
);

test('each part is that of the whole', async () => {
  const { bytes, read } = await tarOf(folder, 'mine');
  const whole = await buffer(read());
  const edges = [0, 1, 511, 512, 513, 612, 1024, 1535, 1536, 50_000, bytes - 1025, bytes - 1024, bytes - 1];
  for (const [i, start] of edges.entries()) {
    for (const end of edges.slice(i)) {
      expect((await buffer(read({ start, end }))).equals(whole.subarray(start, end + 1)), `${start}-${end}`).toBe(true);
    }
  }
});

test('a file that has become shorter ends the stream with an error', async () => {
  const { read } = await tarOf(folder, '');
  const file = path.join(folder, 'adapter_model.safetensors');
  await chmod(file, 0o644);
  await truncate(file, 1000);
  await expect(buffer(read())).rejects.toThrow(/has 1000 bytes, expected at least 200000/);
});
