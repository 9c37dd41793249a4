import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import {
  createBaseModelVersion,
  getAdapter,
  getJob,
  getRollout,
  isEndOfJob,
  listBaseModelVersions,
  listJobs,
  listWorkers,
  type Job,
  type Rollout,
} from '../../openapi/clients/typescript/src/index.ts';
import { downloadAdapter } from '../../openapi/clients/typescript/src/node/index.ts';
import { FAMILY, familyPath, FLEET, type DemoAdapter } from '../../cli/demo/fleet.ts';
import { retryingClient, registerFleet, type RegisteredFleet } from '../../cli/demo/register-fleet.ts';
import { superviseWorker, type SupervisedWorker } from '../../cli/stack/worker-supervisor.ts';
import { startServer, type RunningServer } from '../../src/api/server.ts';
import { loadConfig } from '../../src/platform/config/config.ts';
import { describeBaseModel } from '../../core/formats/hugging-face/hugging-face-model.ts';
import { loadAdapter } from '../../core/formats/peft/peft-adapter.ts';
import { readAdapterConfig } from '../../core/formats/peft/peft-config.ts';
import { readAdapterManifest } from '../../core/formats/peft/adapter-manifest.ts';
import { compiledModule } from '../compiled/index.ts';
import { eventually } from '../eventually.ts';
import { copyDatabaseFolder } from '../integration/support/database-folder.ts';

/** Worker whose leases and locks are taken over seconds after its death. */
const WORKER = path.resolve('test/faults/support/worker-process.ts');

// A fleet of two tenants, whose short rows are measured quickly. The adapter `must-train` cannot reach its target, so
// its job uses its whole budget of steps, which leaves time to kill the worker while it runs.
const EASY: DemoAdapter = {
  ...FLEET.find((entry) => entry.adapter === 'catalogue-plurals')!,
  adapter: 'easy',
  trainRows: 100,
  heldOutRows: 60,
  gate: { kind: 'relative', margin: 0.3 },
};
const MUST_TRAIN: DemoAdapter = {
  ...FLEET.find((entry) => entry.adapter === 'plural-forms')!,
  tenant: 'acme',
  adapter: 'must-train',
  trainRows: 100,
  heldOutRows: 60,
  gate: { kind: 'absolute', target: 1 },
};

const OTHER_MODELS = path.resolve('test/fixtures/golden');

let dataDir: string;
let server: RunningServer;
let worker: SupervisedWorker;
let fleet: RegisteredFleet;

beforeAll(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'readapt-e2e-'));
  await copyDatabaseFolder(inject('databaseFolder'), path.join(dataDir, 'postgres'));
  const env = {
    READAPT_DATA_DIR: dataDir,
    READAPT_PORT: '0',
    READAPT_ALLOWED_ROOTS: [FAMILY, OTHER_MODELS].join(path.delimiter),
    READAPT_LOG_LEVEL: process.env.READAPT_TEST_LOG_LEVEL ?? 'silent',
  };
  server = await startServer(loadConfig(env));
  const { databaseUrl } = server;
  worker = superviseWorker({ ...process.env, ...env, DATABASE_URL: databaseUrl }, () => {}, compiledModule(WORKER));
  fleet = await registerFleet({
    origin: server.url,
    operatorKey: server.operatorKey!,
    fleet: [EASY, MUST_TRAIN],
    log: () => {},
  });
});

afterAll(async () => {
  const stopped = worker?.stop();
  if (worker?.pid !== undefined) process.kill(worker.pid, 'SIGKILL');
  await stopped;
  await server?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

test('a new base version re-adapts the fleet, over a worker that is killed half-way', async () => {
  const { rollout } = await createBaseModelVersion({
    client: fleet.operator,
    path: { model: fleet.baseModelId },
    body: {
      version: '2',
      path: familyPath('v2'),
      serving_name: 'demo/llama-v2',
      rollout: { max_steps: 30, evaluate_every: 10, search_evaluations: 4, search_rows: 16, refine_steps: 0 },
    },
  });

  const training = await waitForJobs('must-train is half-way', rollout!.id, (jobs) =>
    jobs.find((job) => job.adapter_name === 'must-train' && job.step > 10),
  );
  process.kill(worker.pid!, 'SIGKILL');
  const jobs = await waitForJobs('both jobs have ended', rollout!.id, (all) =>
    all.every((job) => isEndOfJob(job.state)) ? all : undefined,
  );

  const [easy, mustTrain] = ['easy', 'must-train'].map((name) => jobs.find((job) => job.adapter_name === name)!);
  expect(easy).toMatchObject({ state: 'ready', error: null });
  expect(easy!.ttr_ms).toBeGreaterThan(0);
  expect(Math.abs(sum(easy!.phases) - easy!.ttr_ms!)).toBeLessThan(1);
  expect(mustTrain).toMatchObject({ state: 'not_ready', ttr_ms: null, published_version_id: null, step: 30 });
  expect(mustTrain!.error).toMatchObject({ code: 'gate_not_reached' });
  expect(mustTrain!.attempt).toBeGreaterThan(training.attempt);
  // The report's own measurements follow the jobs, and the rollout is completed after them.
  expect(await rolloutAfter(['adapting'], rollout!)).toMatchObject({ state: 'completed' });
  for (const { metric } of await waitForJobs('both jobs are listed', rollout!.id, (all) => all)) {
    expect([metric.old, metric.none, metric.copy].every(Number.isFinite)).toBe(true);
  }

  // A training worker has the new base in memory. The old one was last needed before the first worker was killed.
  const versions = await listBaseModelVersions({ client: fleet.operator, path: { model: fleet.baseModelId } });
  const second = versions.data.find(({ version }) => version === '2')!;
  const listed = await eventually('the worker names the new base', async () => {
    // The worker started last comes first; the killed one counts as present for 30 s.
    const [newest] = (await listWorkers({ client: fleet.operator })).data;
    return newest!.loaded_base_model_version_ids.includes(second.id) && newest!;
  });
  expect(listed.state).not.toBe('gone');
  expect(listed.load).toBeGreaterThan(0);

  await expectServable(easy!);
  await expectAnotherTenantToSeeNothing(easy!);
});

test('a version that no adapter fits is registered, and its rollout fails with the differences', async () => {
  const { rollout } = await createBaseModelVersion({
    client: fleet.operator,
    path: { model: fleet.baseModelId },
    body: {
      version: '3',
      path: path.join(OTHER_MODELS, 'llama-gqa-tied', 'base'),
      rollout: {},
    },
  });
  const { state, error } = await rolloutAfter(['planning', 'analyzing'], rollout!);
  expect(state).toBe('failed');
  expect(error).toMatchObject({
    code: 'incompatible_base_model_versions',
    differences: expect.arrayContaining([
      { field: 'hidden_size', old: 192, new: 64 },
      { field: 'num_hidden_layers', old: 6, new: 2 },
      { field: 'vocab_size', old: 4096, new: 512 },
    ]) as unknown,
  });
});

/** Checks that the published version downloads as a PEFT folder that loads on the new base and names its origin. */
async function expectServable(job: Job): Promise<void> {
  const client = retryingClient(server.url, fleet.tenantKeys.get('globex')!);
  const folder = path.join(dataDir, 'downloaded');
  await downloadAdapter({ client, adapterId: job.adapter_id, versionId: job.published_version_id!, folder });

  const { config, fingerprint } = await describeBaseModel(familyPath('v2'));
  const adapter = await loadAdapter(folder, config);
  expect(adapter.config.rank).toBe(8);
  expect((await readAdapterConfig(folder)).baseModelName).toBe('demo/llama-v2');
  expect(await readAdapterManifest(folder)).toMatchObject({ baseFingerprint: fingerprint, strategy: job.won_strategy });
}

async function expectAnotherTenantToSeeNothing(job: Job): Promise<void> {
  const client = retryingClient(server.url, fleet.tenantKeys.get('acme')!);
  await expect(getJob({ client, path: { id: job.id } })).rejects.toMatchObject({ status: 404 });
  await expect(getAdapter({ client, path: { id: job.adapter_id } })).rejects.toMatchObject({ status: 404 });
}

/** Waits until the rollout has left the states. */
function rolloutAfter(states: readonly Rollout['state'][], { id }: Pick<Rollout, 'id'>): Promise<Rollout> {
  const left = async () => {
    const rollout = await getRollout({ client: fleet.operator, path: { id } });
    return !states.includes(rollout.state) && rollout;
  };
  return eventually(`the rollout is no longer ${states.join(' or ')}`, left);
}

function waitForJobs<T>(what: string, rolloutId: string, found: (jobs: Job[]) => T | undefined): Promise<T> {
  const search = async () => {
    const { data } = await listJobs({ client: fleet.operator, query: { rollout_id: rolloutId } });
    return data.length === 2 ? found(data) : undefined;
  };
  return eventually(what, search);
}

const sum = (phases: Readonly<Record<string, number>>): number => Object.values(phases).reduce((a, b) => a + b, 0);
