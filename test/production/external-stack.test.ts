import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBaseModelVersion, isEndOfJob, listJobs } from '../../openapi/clients/typescript/src/index.ts';
import { FAMILY, familyPath, FLEET } from '../../cli/demo/fleet.ts';
import { registerFleet } from '../../cli/demo/register-fleet.ts';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/platform/embedded/index.ts';
import { compiledCommand } from '../compiled/index.ts';
import { eventually } from '../eventually.ts';
import { startRedis, type TestRedis } from '../integration/support/redis.ts';

// Runs the setup of docker-compose.yml without Docker: external PostgreSQL and Redis, with migrate, API and worker as
// processes.
const COMMAND = compiledCommand();

let databaseFolder: string;
let dataDir: string;
let postgres: EmbeddedPostgres;
let redis: TestRedis;
let env: NodeJS.ProcessEnv;
const running: ChildProcess[] = [];

beforeAll(async () => {
  databaseFolder = await mkdtemp(path.join(tmpdir(), 'readapt-production-database-'));
  dataDir = await mkdtemp(path.join(tmpdir(), 'readapt-production-'));
  postgres = await startEmbeddedPostgres(databaseFolder, { durable: false });
  redis = await startRedis();
  env = {
    ...process.env,
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
    READAPT_DATA_DIR: dataDir,
    READAPT_ALLOWED_ROOTS: FAMILY,
    READAPT_PORT: '0',
    READAPT_LOG_LEVEL: 'info',
  };
});

afterAll(async () => {
  for (const child of running.reverse()) await ended(child);
  await redis?.stop();
  await postgres?.stop();
  for (const folder of [databaseFolder, dataDir]) await rm(folder, { recursive: true, force: true });
});

test('API and worker on PostgreSQL and Redis re-adapt a fleet', async () => {
  const migrate = spawn(process.execPath, [COMMAND, 'migrate', '--json'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const applied = JSON.parse(await outputOf(migrate)) as { applied: string[] };
  expect(applied.applied.length).toBeGreaterThan(0);

  const api = spawn(process.execPath, [COMMAND, 'serve'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const greeting = await started(api, /serves (\S+)[\s\S]*operator key written to ([^,]+),/);
  const [, origin, keyFile] = greeting;
  const operatorKey = (await readFile(keyFile!, 'utf8')).trim();
  await started(
    spawn(process.execPath, [COMMAND, 'worker'], { env, stdio: ['ignore', 'inherit', 'pipe'] }),
    /worker started/,
  );

  const entry = { ...FLEET.find(({ adapter }) => adapter === 'feed-topics')!, trainRows: 100 };
  const fleet = await registerFleet({ origin: origin!, operatorKey, fleet: [entry], log: () => {} });
  const { rollout } = await createBaseModelVersion({
    client: fleet.operator,
    path: { model: fleet.baseModelId },
    body: {
      version: '2',
      path: familyPath('v2'),
      rollout: {},
    },
  });
  const endedJob = async () => {
    const [job] = (await listJobs({ client: fleet.operator, query: { rollout_id: rollout!.id } })).data;
    return job !== undefined && isEndOfJob(job.state) && job;
  };
  const job = await eventually('the job has ended', endedJob);
  expect(job).toMatchObject({ state: 'ready', adapter_name: 'feed-topics', error: null });
  const ready = (await (await fetch(`${origin}/readyz`)).json()) as object;
  expect(ready).toMatchObject({ status: 'ready' });
});

/** Waits until a process prints the line, and ends the process after the tests. */
async function started(child: ChildProcess, line: RegExp): Promise<RegExpExecArray> {
  running.push(child);
  let seen = '';
  return new Promise((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      seen += chunk.toString();
      const match = line.exec(seen);
      if (match !== null) resolve(match);
    };
    child.stdout?.on('data', read);
    child.stderr?.on('data', read);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`ended with ${code} before ${line}:\n${seen}`)));
  });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  await exit;
}

async function outputOf(child: ChildProcess): Promise<string> {
  let output = '';
  child.stdout!.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0) throw new Error(`ended with ${code}`);
  return output;
}
