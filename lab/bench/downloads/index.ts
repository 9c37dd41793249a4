import { createCipheriv } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Command } from 'commander';
import { openArtifactStore, registerArtifact } from '../../../src/platform/artifacts/index.ts';
import { loadConfig } from '../../../src/platform/config/config.ts';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { positive } from '../positive.ts';
import { createFleet } from '../service/fleet.ts';
import { apiEnvironment } from '../service/plan.ts';
import { startProcess, startStack, type BenchProcess, type BenchStack } from '../service/stack.ts';

const MB = 1e6;

interface Options {
  readonly megabytes: number;
  readonly downloads: number;
  readonly rounds: number;
}

/** Mean cost of one download in a round: processor time of the API, and time that passed. */
interface Cost {
  readonly cpuMs: number;
  readonly wallMs: number;
}

/** Puts an adapter of this size into the bucket. @returns the path of its version in the API */
async function addVersion(stack: BenchStack, bytes: number): Promise<string> {
  const folder = path.join(stack.folder, 'adapter');
  await mkdir(folder);
  await writeFile(path.join(folder, 'adapter_config.json'), '{}');
  // Incompressible bytes that are the same in each run.
  const weights = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(bytes));
  await writeFile(path.join(folder, 'adapter_model.safetensors'), weights);
  const { db } = stack;
  await createFleet(db, 1);
  const config = loadConfig({ ...process.env, READAPT_DATA_DIR: path.join(stack.folder, 'bench') });
  const store = await openArtifactStore({ db, config, begins: true });
  const artifact = await store.putFolder(folder, 'adapter');
  await withTransaction(db, (tx) => registerArtifact(tx, store, artifact));
  const { id, adapterId } = await db.adapterVersion.findFirstOrThrow();
  await db.adapterVersion.update({ where: { id }, data: { artifactDigest: artifact.digest } });
  return `/v1/adapters/${adapterId}/versions/${id}`;
}

async function drain(url: string, headers: Record<string, string> = {}): Promise<number> {
  const answer = await fetch(url, { headers });
  if (!answer.ok || answer.body === null) throw new Error(`a download was answered with ${answer.status}`);
  let bytes = 0;
  for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>) bytes += chunk.byteLength;
  return bytes;
}

async function costOf(api: BenchProcess, downloads: number, download: () => Promise<void>): Promise<Cost> {
  const [before, started] = [await api.cpuMs(), performance.now()];
  for (let i = 0; i < downloads; i++) await download();
  const each = (total: number) => total / downloads;
  return { cpuMs: each((await api.cpuMs()) - before), wallMs: each(performance.now() - started) };
}

/** Gives the run its own prefix: a store belongs to the database that created it, and each run has a new database. */
function beginPrefix(): void {
  const { READAPT_ARTIFACTS: place } = process.env;
  if (place === undefined) throw new Error('READAPT_ARTIFACTS is not set, expected a bucket such as s3://models/bench');
  const run = new Date().toISOString().replaceAll(/[:.]/g, '-');
  process.env.READAPT_ARTIFACTS = `${place.replace(/\/+$/, '')}/downloads-${run}`;
}

type Way = readonly [name: string, download: () => Promise<void>];

function waysToDownload(origin: string, version: string, headers: Record<string, string>): readonly Way[] {
  const archive = async () => void (await drain(`${origin}${version}/download`, headers));
  const files = async () => {
    const answer = await fetch(`${origin}${version}/files`, { headers });
    const { files } = (await answer.json()) as { files: { url: string; expires_at: string | null }[] };
    for (const file of files) {
      if (file.expires_at === null) throw new Error('the store is no bucket: set READAPT_ARTIFACTS');
      await drain(file.url);
    }
  };
  return [
    ['archive through the API', archive],
    ['files from the bucket', files],
  ];
}

async function measure({ megabytes, downloads, rounds }: Options): Promise<void> {
  beginPrefix();
  const stack = await startStack();
  const version = await addVersion(stack, megabytes * MB);
  const api = startProcess('processes/api-process.ts', apiEnvironment(stack, null));
  try {
    const { url, key } = await api.next<{ url: string; key: string }>();
    const ways = waysToDownload(url, version, { authorization: `Bearer ${key}` });
    for (const [, download] of ways) await download();
    const costs = new Map<string, Cost[]>(ways.map(([way]) => [way, []]));
    for (let round = 0; round < rounds; round++) {
      for (const [way, download] of ways) costs.get(way)!.push(await costOf(api, downloads, download));
    }
    console.log(`| ${megabytes} MB | the API's processor, ms | whole download, ms |\n| --- | --- | --- |`);
    for (const [way, found] of costs) {
      console.log(
        `| ${way} | ${range(found.map(({ cpuMs }) => cpuMs))} | ${range(found.map(({ wallMs }) => wallMs))} |`,
      );
    }
  } finally {
    await api.stop();
    await stack.close();
  }
}

/** Formats the median, with the least and the most in brackets. */
function range(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b).map((value) => value.toFixed(1));
  return `${sorted[sorted.length >> 1]} (${sorted[0]}–${sorted.at(-1)})`;
}

await new Command('bench:downloads')
  .description(
    'Compare the cost of a download to the API: as an archive that it makes, and as files that come from the bucket. ' +
      'READAPT_ARTIFACTS, READAPT_S3_ENDPOINT and the variables of AWS name the bucket. Each run writes below ' +
      'a prefix of its own there and does not delete it.',
  )
  .option('--megabytes <n>', 'Size of the adapter.', positive, 50)
  .option('--downloads <n>', 'Downloads of a round, one after the other.', positive, 10)
  .option('--rounds <n>', 'Rounds of each way, in turn.', positive, 5)
  .action((options: Options) => measure(options))
  .parseAsync();
