import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBaseModelVersion, isEndOfJob, listJobs, type Job } from '../../openapi/clients/typescript/src/index.ts';
import { downloadAdapter } from '../../openapi/clients/typescript/src/node/index.ts';
import { FAMILY, familyPath, FLEET, type DemoAdapter } from '../../cli/demo/fleet.ts';
import { retryingClient, registerFleet, type RegisteredFleet } from '../../cli/demo/register-fleet.ts';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/platform/embedded/index.ts';
import { compiledCommand } from '../compiled/index.ts';
import { eventually } from '../eventually.ts';
import { startS3Server, type S3Server } from './support/versitygw.ts';

// Tests an API and two workers that share only the database, which holds the queue, and the bucket.
const FIRST: DemoAdapter = {
  ...FLEET.find(({ adapter }) => adapter === 'feed-topics')!,
  trainRows: 100,
  gate: { kind: 'relative', margin: 0.3 },
};

const SECOND: DemoAdapter = { ...FIRST, adapter: 'more-topics', trainRows: 120 };

let folder: string;
let databaseFolder: string;
let postgres: EmbeddedPostgres;
let s3: S3Server;
const running: ChildProcess[] = [];
/** Output of each process. */
const outputs = new Map<string, string>();

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'readapt-test-s3-fleet-'));
  databaseFolder = await mkdtemp(path.join(tmpdir(), 'readapt-test-s3-database-'));
  postgres = await startEmbeddedPostgres(databaseFolder, { durable: false });
  s3 = await startS3Server();
  await mkdir(path.join(folder, 'downloads'));
});
afterAll(async () => {
  for (const child of running.reverse()) await ended(child);
  await s3?.remove();
  await postgres?.stop();
  for (const one of [folder, databaseFolder]) await rm(one, { recursive: true, force: true });
});

/** Starts a process with a data folder of its own and waits until it prints the line. */
async function start(
  name: string,
  command: string[],
  line: RegExp,
): Promise<{ child: ChildProcess; match: RegExpExecArray }> {
  const env = {
    ...process.env,
    ...s3.env('fleet'),
    DATABASE_URL: postgres.url,
    READAPT_DATA_DIR: path.join(folder, name),
    READAPT_ALLOWED_ROOTS: FAMILY,
    READAPT_PORT: '0',
    READAPT_LOG_LEVEL: 'info',
  };
  const child = spawn(process.execPath, [compiledCommand(), ...command], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  running.push(child);
  outputs.set(name, '');
  const match = await new Promise<RegExpExecArray>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      const seen = outputs.get(name)! + chunk.toString();
      outputs.set(name, seen);
      const found = line.exec(seen);
      if (found !== null) resolve(found);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('exit', (code) => reject(new Error(`ended with ${code} before ${line}`)));
  });
  return { child, match };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  await exit;
}

/** Waits for a job of the rollout that meets the condition. */
function jobOf(what: string, fleet: RegisteredFleet, rolloutId: string, isIt: (job: Job) => boolean): Promise<Job> {
  const find = async (): Promise<Job | undefined> => {
    const { data } = await listJobs({ client: fleet.operator, query: { rollout_id: rolloutId } });
    return data.find(isIt);
  };
  return eventually(what, find);
}

test('workers with folders of their own carry a fleet over, through an outage of the bucket', async ({
  onTestFailed,
}) => {
  onTestFailed(() => {
    for (const [name, output] of outputs) console.error(`=== the end of ${name}:\n${output.slice(-20_000)}`);
  });
  const api = await start('api', ['serve', '--no-worker'], /serves (\S+)[\s\S]*operator key written to ([^,]+),/);
  const [, origin = '', keyFile = ''] = api.match;
  const operatorKey = (await readFile(keyFile, 'utf8')).trim();
  const first = await start('worker-1', ['worker'], /worker started/);
  const fleet = await registerFleet({ origin, operatorKey, fleet: [FIRST, SECOND], log: () => {} });
  const client = retryingClient(origin, fleet.tenantKeys.get(FIRST.tenant)!);
  /** The client verifies the digest. */
  const download = async (job: Job) => {
    const target = path.join(folder, 'downloads', job.id);
    await downloadAdapter({
      client,
      adapterId: job.adapter_id,
      versionId: job.published_version_id!,
      folder: target,
    });
    return readdir(target);
  };

  const { rollout } = await createBaseModelVersion({
    client: fleet.operator,
    path: { model: fleet.baseModelId },
    body: {
      version: '2',
      path: familyPath('v2'),
      rollout: { max_steps: 20, search_evaluations: 4, search_rows: 16, refine_steps: 0 },
    },
  });
  const made = await jobOf('a job has ended', fleet, rollout!.id, ({ state }) => isEndOfJob(state));
  await ended(first.child);
  expect(made).toMatchObject({ state: 'ready', error: null });
  expect(await download(made)).toContain('adapter_model.safetensors');

  // The second worker has none of the first one's files, and the bucket is offline when it takes over the other job.
  await start('worker-2', ['worker'], /worker started/);
  await s3.kill();
  const url = `${origin}/v1/adapters/${made.adapter_id}/versions/${made.published_version_id!}/download`;
  const refused = await fetch(url, { headers: { authorization: `Bearer ${operatorKey}` } });
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '10']);
  expect(await refused.json()).toMatchObject({ code: 'storage_away' });
  const isOther = ({ id }: Job): boolean => id !== made.id;
  const waiting = await jobOf(
    'the other job has met the outage',
    fleet,
    rollout!.id,
    (job) => isOther(job) && job.error !== null,
  );
  expect(waiting).toMatchObject({ finished_at: null, error: { code: 'worker_fault' } });
  await s3.start();
  const other = await jobOf(
    'the other job has ended',
    fleet,
    rollout!.id,
    (job) => isOther(job) && isEndOfJob(job.state),
  );
  expect(other).toMatchObject({ state: 'ready', error: null });
  expect(await download(other)).toContain('adapter_model.safetensors');

  for (const name of ['api', 'worker-1', 'worker-2']) {
    expect(await readdir(path.join(folder, name)), name).not.toContain('artifacts');
  }
});
