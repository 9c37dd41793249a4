import { execFile } from 'node:child_process';
import { chmod, cp, mkdtemp, readdir, readFile, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  createBaseModelVersion,
  createRollout,
  getAdapter,
  getRollout,
  isEndOfJob,
  listBaseModelVersions,
  listCurrentVersions,
  listJobs,
  type Job,
} from '../../openapi/clients/typescript/src/index.ts';
import { downloadAdapter } from '../../openapi/clients/typescript/src/node/index.ts';
import { FAMILY, familyPath, FLEET, type DemoAdapter } from '../../cli/demo/fleet.ts';
import { retryingClient, registerFleet, type RegisteredFleet } from '../../cli/demo/register-fleet.ts';
import type { Finding } from '../../src/operations/doctor/findings.ts';
import { hasEmbeddedPostgres } from '../../src/platform/embedded/index.ts';
import { compiledCommand } from '../compiled/index.ts';
import { eventually } from '../eventually.ts';
import { freePort } from '../integration/support/redis.ts';
import { Processes, type Process } from '../upgrade/processes.ts';
import { startDebianPostgres, type DebianPostgres } from './debian-postgres.ts';

// Tests docs/backup.md with the scripts that it shows.
const run = promisify(execFile);
const COMMAND = compiledCommand();
const SCRIPTS = path.resolve('deploy/backup');
const FIRST: DemoAdapter = {
  ...FLEET.find(({ adapter }) => adapter === 'feed-topics')!,
  trainRows: 100,
  gate: { kind: 'relative', margin: 0.3 },
};
const LATER: DemoAdapter = { ...FIRST, tenant: 'later', adapter: 'later-topics', trainRows: 120 };

const QUICK = { max_steps: 20, search_evaluations: 4, search_rows: 16, refine_steps: 0 };

const processes = new Processes();
let folder: string;
let postgres: DebianPostgres;
/** Another server, which has counted only few transactions. */
let elsewhere: DebianPostgres;
/** Fleet of the backed-up service, whose keys are in the database. */
let fleet: RegisteredFleet;
let operatorKey: string;
let adapterId: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'readapt-backup-'));
  // The embedded PostgreSQL runs as a different user.
  await chmod(folder, 0o755);
  postgres = await startDebianPostgres(await freePort());
  await useTransactions(postgres, 100_000);
  elsewhere = await startDebianPostgres(await freePort());
});
afterAll(async () => {
  await processes.killAll();
  await postgres?.stop();
  await elsewhere?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Environment with a database and a data folder of its own. */
function placeOf(name: string, server = postgres): NodeJS.ProcessEnv {
  return {
    ...process.env,
    DATABASE_URL: server.url.replace(/postgres$/, name),
    READAPT_DATA_DIR: path.join(folder, name),
    READAPT_ALLOWED_ROOTS: FAMILY,
    READAPT_PORT: '0',
    READAPT_THREADS: '1',
    READAPT_LOG_LEVEL: 'info',
  };
}

const createEmpty = (name: string, server = postgres) => run('psql', [server.url, '-c', `CREATE DATABASE ${name}`]);

/** Advances the server's transaction counter, as on one that has run for long. */
async function useTransactions({ url }: DebianPostgres, count: number): Promise<void> {
  await run('psql', [
    url,
    '-c',
    `DO $$ BEGIN FOR i IN 1..${count} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$`,
  ]);
}
const backUp = (name: string, to: string) => run(path.join(SCRIPTS, 'backup.sh'), [to], { env: placeOf(name) });

async function startService(env: NodeJS.ProcessEnv): Promise<{ origin: string; parts: Process[] }> {
  const parts = [processes.start(COMMAND, ['serve', '--worker'], env)];
  const [, origin = ''] = await parts[0]!.printed(/readapt serves (\S+)/);
  return { origin, parts };
}

async function doctor(
  env: NodeJS.ProcessEnv,
  ...options: string[]
): Promise<{ code: number | null; findings: Finding[] }> {
  const child = processes.start(COMMAND, ['doctor', '--json', ...options], env);
  const code = await child.ended();
  const [line = ''] = child
    .output()
    .split('\n')
    .filter((one) => one.startsWith('{'));
  return { code, findings: (JSON.parse(line) as { findings: Finding[] }).findings };
}
const kinds = ({ findings }: { findings: Finding[] }) =>
  findings.map(({ kind, mended }) => `${kind}${mended ? ' mended' : ''}`);

/** Waits for the end of the rollout and of its only job. @returns the job */
async function finished(client: RegisteredFleet['operator'], rolloutId: string): Promise<Job> {
  const job = await eventually('the job has ended', async () => {
    const { data } = await listJobs({ client, query: { rollout_id: rolloutId } });
    return data.length > 0 && data.every(({ state }) => isEndOfJob(state)) && data[0]!;
  });
  const isCompleted = async () => (await getRollout({ client, path: { id: rolloutId } })).state === 'completed';
  await eventually('the rollout is completed', isCompleted);
  return job;
}

/** Downloads the adapter's current versions and compares their digests. @returns the numbers of the versions */
async function downloadCurrent(origin: string, into: string): Promise<number[]> {
  const client = retryingClient(origin, operatorKey);
  const { current } = await getAdapter({ client, path: { id: adapterId } });
  const numbers: number[] = [];
  for (const { version_id: versionId, number } of current) {
    await downloadAdapter({ client, adapterId, versionId: versionId!, folder: path.join(folder, `${into}-${number}`) });
    numbers.push(number!);
  }
  return numbers.sort();
}

/** Version numbers that a follower of current versions receives from the beginning. */
async function followedVersions(origin: string): Promise<number[]> {
  const client = retryingClient(origin, operatorKey);
  const bases = await listBaseModelVersions({ client, path: { model: fleet.baseModelId } });
  const numbers: number[] = [];
  for (const { id } of bases.data) {
    const { data } = await listCurrentVersions({ client, path: { id }, query: { changed_after: '0' } });
    numbers.push(...data.map(({ number }) => number));
  }
  return numbers.sort();
}

/** Ages the artifacts: the doctor assumes that recent ones are about to be registered. */
async function age(dataDir: string): Promise<void> {
  const hoursAgo = new Date(Date.now() - 2 * 3_600_000);
  const root = path.join(dataDir, 'artifacts', 'sha256');
  for (const start of await readdir(root)) {
    for (const rest of await readdir(path.join(root, start)))
      await utimes(path.join(root, start, rest), hoursAgo, hoursAgo);
  }
}

test('a service is backed up while it runs', async () => {
  await createEmpty('original');
  const { origin, parts } = await startService(placeOf('original'));
  const [, keyFile = ''] = await parts[0]!.printed(/operator key written to ([^,]+),/);
  operatorKey = (await readFile(keyFile, 'utf8')).trim();
  fleet = await registerFleet({ origin, operatorKey, fleet: [FIRST], log: () => {} });
  [adapterId = ''] = fleet.adapters.keys();
  await backUp('original', path.join(folder, 'early'));

  const { rollout } = await createBaseModelVersion({
    client: fleet.operator,
    path: { model: fleet.baseModelId },
    body: { version: '2', path: familyPath('v2'), rollout: QUICK },
  });
  expect(await finished(fleet.operator, rollout!.id)).toMatchObject({ state: 'ready' });
  await backUp('original', path.join(folder, 'backup'));
  await registerFleet({ origin, operatorKey, fleet: [LATER], baseModel: 'another-llama', log: () => {} });
  await backUp('original', path.join(folder, 'late'));
  for (const part of parts) await part.stop();
});

const ARTIFACTS_NEWER =
  'artifacts that are newer than the database: the doctor sets aside what nobody names, and the fleet serves on';
test(ARTIFACTS_NEWER, async () => {
  await cp(path.join(folder, 'late', 'artifacts'), path.join(folder, 'newer', 'artifacts'), {
    recursive: true,
    preserveTimestamps: true,
  });
  await cp(path.join(folder, 'backup', 'readapt.dump'), path.join(folder, 'newer', 'readapt.dump'));
  await createEmpty('restored_newer', elsewhere);
  const env = placeOf('restored_newer', elsewhere);
  await run(path.join(SCRIPTS, 'restore.sh'), [path.join(folder, 'newer')], { env });
  await age(env.READAPT_DATA_DIR!);
  const found = await doctor(env, '--verify');
  expect([found.code, kinds(found)]).toEqual([1, ['artifact_unnamed']]);
  expect((await doctor(env, '--mend')).code).toBe(0);
  const after = await doctor(env, '--verify');
  expect([after.code, kinds(after)]).toEqual([0, []]);
  const { origin, parts } = await startService(env);
  expect(await downloadCurrent(origin, 'newer')).toEqual([1, 2]);
  expect(await followedVersions(origin)).toEqual([1, 2]);
  for (const part of parts) await part.stop();
});

const ARTIFACTS_OLDER =
  'artifacts that are older than the database: the doctor says what is gone, and a rollout makes it again';
test(ARTIFACTS_OLDER, async () => {
  await cp(path.join(folder, 'early', 'artifacts'), path.join(folder, 'older', 'artifacts'), {
    recursive: true,
    preserveTimestamps: true,
  });
  await cp(path.join(folder, 'backup', 'readapt.dump'), path.join(folder, 'older', 'readapt.dump'));
  await createEmpty('restored_older');
  const env = placeOf('restored_older');
  await run(path.join(SCRIPTS, 'restore.sh'), [path.join(folder, 'older')], { env });
  const found = await doctor(env);
  expect([found.code, kinds(found).sort()]).toEqual([1, ['current_version_gone', 'evolution_gone', 'version_gone']]);
  const told = processes.start(COMMAND, ['doctor'], env);
  expect(await told.ended()).toBe(1);
  expect(told.output()).toMatch(/evolutions [^\n]* \(1\):\n {2}the files of evolution evo_/);
  expect(told.output()).toContain('--mend would: delete it, as its tenant could, so that a rollout makes it again');
  expect(told.output()).toContain('3 of 3 findings are not mended');
  const mended = await doctor(env, '--mend');
  expect([mended.code, kinds(mended).sort()]).toEqual([0, found.findings.map(({ kind }) => `${kind} mended`).sort()]);
  expect((await doctor(env, '--verify')).findings).toEqual([]);

  const { origin, parts } = await startService(env);
  expect(await downloadCurrent(origin, 'older')).toEqual([1]);
  const client = retryingClient(origin, operatorKey);
  const versions = await listBaseModelVersions({ client, path: { model: fleet.baseModelId } });
  const newBase = versions.data.find(({ version }) => version === '2')!;
  const rollout = await createRollout({ client, body: { base_model_version_id: newBase.id, options: QUICK } });
  expect(await finished(client, rollout.id)).toMatchObject({ state: 'ready' });
  expect(await downloadCurrent(origin, 'again')).toEqual([1, 3]);
  for (const part of parts) await part.stop();
});

test('a stopped service with its embedded database is copied as a folder', async () => {
  const { DATABASE_URL: _, ...env } = placeOf('embedded');
  const { origin, parts } = await startService(env);
  await registerFleet({ origin, operatorKey: await keyOf(parts[0]!), fleet: [FIRST], log: () => {} });
  for (const part of parts) await part.stop();
  await run('cp', ['-a', env.READAPT_DATA_DIR!, path.join(folder, 'embedded-copy')]);
  const copy = { ...env, READAPT_DATA_DIR: path.join(folder, 'embedded-copy') };
  expect(await hasEmbeddedPostgres(copy.READAPT_DATA_DIR)).toBe(true);
  const found = await doctor(copy, '--verify');
  expect([found.code, found.findings]).toEqual([0, []]);
  const again = await startService(copy);
  expect((await fetch(`${again.origin}/readyz`)).status).toBe(200);
  // If killed at the end, it would leave its PostgreSQL running in a folder that is being removed.
  for (const part of again.parts) await part.stop();
});

async function keyOf(api: Process): Promise<string> {
  const [, file = ''] = await api.printed(/operator key written to ([^,]+),/);
  return (await readFile(file, 'utf8')).trim();
}
