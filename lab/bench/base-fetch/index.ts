/** Measures how long a worker takes to fetch a sharded base from a server that limits each connection. */
import { mkdtemp, rename, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { pinnedFilesKey } from '../../../src/platform/base-sources/index.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { BaseFileCache } from '../../../workers/bases/base-file-cache.ts';
import { positive } from '../positive.ts';
import { startShards } from './shards.ts';

const options = new Command('bench:base-fetch')
  .description(
    'Fetch a base of several files from a server that limits each connection, with one stream and with several.',
  )
  .option('--shards <n>', 'Number of files.', positive, 12)
  .option('--size <MiB>', 'Size of each file.', positive, 64)
  .option('--speed <MiB>', 'Speed of one connection, per second.', positive, 32)
  .option('--rounds <n>', 'Number of rounds, of which the median is shown.', positive, 3)
  .helpOption('-h, --help', 'Show this help.')
  .parse()
  .opts<{ shards: number; size: number; speed: number; rounds: number }>();

const STREAMS = [1, 2, 4, 8];

const { sources, files, sha256 } = await startShards({
  shards: options.shards,
  bytes: options.size * 2 ** 20,
  bytesPerSecond: options.speed * 2 ** 20,
});
const source = { kind: 's3', bucket: 'bench', prefix: '' } as const;
const key = pinnedFilesKey({ source, files });
const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-bench-fetch-'));
const logger = createLogger({ level: 'silent', pretty: false });

/** Fetches the base into an empty cache. @returns seconds */
async function timed(streams: number): Promise<number> {
  const cache = new BaseFileCache({ folder, maxBytes: Number.MAX_SAFE_INTEGER, loaded: () => [], logger });
  const begun = performance.now();
  const { signal } = new AbortController();
  const request = { sources, source, token: null, signal, streams, onProgress: () => undefined };
  const hashes = await cache.fetch({ key, files }, request);
  const seconds = (performance.now() - begun) / 1000;
  if (![...hashes!.values()].every((hash) => hash === sha256)) throw new Error('a shard arrived with another hash');
  return seconds;
}

const median = (times: readonly number[]): number => [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
const fetched = new Map(STREAMS.map((streams) => [streams, [] as number[]]));
const read: number[] = [];
try {
  for (let round = 0; round < options.rounds; round++) {
    for (const [streams, times] of fetched) {
      times.push(await timed(streams));
      const whole = path.join(folder, key);
      // A fetch that finds all files of an interrupted attempt only reads and hashes them.
      if (streams === STREAMS[0]) {
        await rename(whole, `${whole}.partial`);
        read.push(await timed(1));
      }
      await rm(whole, { recursive: true });
    }
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
const lines = [...fetched].map(([streams, times]) => `${streams} at a time: ${median(times).toFixed(2)} s`);
process.stdout.write(`${lines.join('\n')}\nread once more for the hashes: ${median(read).toFixed(2)} s\n`);
process.exit(0);
