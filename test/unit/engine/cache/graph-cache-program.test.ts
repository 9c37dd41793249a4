import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CPU_PROVIDER } from '../../../../core/engine/devices/execution-provider.ts';
import { computeBits, CountingCache, randomCase } from '../support/graph-cache-case.ts';

let folder: string;

beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), 'readapt-graphs-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));

const entries = async () => (await readdir(folder)).map((name) => path.join(folder, name));
const inodes = async () => Promise.all((await entries()).map(async (file) => (await stat(file)).ino));

/** Message of `support/graph-cache-child.ts`. */
interface Computed {
  readonly bits: string;
  /** Number of graphs that the process traced. */
  readonly traced: number;
  /** Whether the process loaded TensorFlow.js. */
  readonly tfjs: boolean;
}

/** Computes the same in another process, which also runs the sources, because the cache's keys depend on the code. */
async function inAnotherProcess(): Promise<Computed> {
  const child = fork(path.join(import.meta.dirname, '../support/graph-cache-child.ts'), [folder], {
    execArgv: ['--import', 'tsx'],
  });
  const [message] = (await once(child, 'message')) as [Computed];
  return message;
}

describe('programs with a cache', () => {
  it('give the bits of traced ones, in another process too, and after entries were damaged', async () => {
    const bits = await computeBits(null);
    const cache = new CountingCache(folder);
    expect(await computeBits(cache)).toBe(bits);
    expect(cache.traced).toBe(3);
    const before = await inodes();
    expect(await inAnotherProcess()).toEqual({ bits, traced: 0, tfjs: false });
    expect(await inodes()).toEqual(before);

    for (const file of await entries()) await writeFile(file, 'damaged');
    expect(await inAnotherProcess()).toEqual({ bits, traced: 3, tfjs: true });
    expect(await inAnotherProcess()).toEqual({ bits, traced: 0, tfjs: false });
  });

  it('keep no weights in it', async () => {
    await computeBits(new CountingCache(folder));
    const graphs = await Promise.all((await entries()).map((file) => readFile(file)));
    expect(graphs).toHaveLength(3);
    for (const [name, { data }] of randomCase().base.weights) {
      const beginning = Buffer.from(data.buffer, data.byteOffset, 16);
      expect(
        graphs.filter((graph) => graph.includes(beginning)),
        name,
      ).toEqual([]);
    }
  });

  it('leave it alone where their graphs hold the weights', async () => {
    const cache = new CountingCache(folder);
    await computeBits(cache, { ...CPU_PROVIDER, keepsWeights: true });
    expect(cache.traced).toBe(0);
    expect(await entries()).toEqual([]);
  });
});
