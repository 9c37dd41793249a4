import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createApiClient, type Job, type Rollout } from '../../../cli/demo/api-client.ts';
import { createFilesystemStore } from '../../../src/artifacts/index.ts';
import { startEmbeddedPostgres } from '../../../src/embedded/index.ts';
import { createDatabase } from '../../../src/lib/database.ts';
import { problemsOf } from '../../faults/support/checks.ts';
import { startRollout } from '../../faults/support/fleet.ts';
import { createReference } from '../../faults/support/reference.ts';
import { BASE, createTinyFamily, removeTinyFamily, type TinyFamily } from '../../unit/training/support/tiny-task.ts';
import { eventually } from '../queue/test-queue.ts';
import { createFolder, removeFolder, serve } from '../stack/readapt.ts';
import { killEverything } from './kill-everything.ts';

let folder: string;
let family: TinyFamily;

beforeEach(async () => {
  folder = await createFolder();
  family = await createTinyFamily();
});
afterEach(async () => {
  await removeFolder(folder);
  await removeTinyFamily(family);
});

test('paused in the middle of a training, killed with everything and resumed, a rollout ends with the same bits', async () => {
  const dataDir = path.join(folder, 'data');
  const cacheDir = path.join(family.folder, 'cache');
  const env = {
    READAPT_ALLOWED_ROOTS: [family.folder, BASE].join(path.delimiter),
    READAPT_GRAPH_CACHE: cacheDir,
    READAPT_THREADS: '1',
  };
  const first = await serve(folder, [], { env });
  const operatorKey = first.operatorKey!;
  const rolloutId = await startRollout({ origin: first.url, operatorKey, family }, 'paused');
  const jobsAt = async (origin: string) =>
    (await createApiClient(origin, operatorKey).get<{ data: Job[] }>(`/v1/jobs?rollout_id=${rolloutId}`)).data;
  const change = (origin: string, what: 'pause' | 'resume') =>
    createApiClient(origin, operatorKey).post<Rollout>(`/v1/rollouts/${rolloutId}/${what}`, {});
  const isTraining = async (origin: string) => (await jobsAt(origin)).find(({ state }) => state === 'fine_tuning');

  // Once it goes on in the same processes, and once it is the next start that resumes it.
  const interrupted = await eventually('a job is trained', () => isTraining(first.url), 60_000);
  expect(await change(first.url, 'pause')).toMatchObject({ state: 'paused' });
  await change(first.url, 'resume');
  await eventually('a job is trained again', () => isTraining(first.url), 60_000);
  await change(first.url, 'pause');
  await killEverything(folder);

  const { url: origin } = await serve(folder, [], { env });
  const rollout = () => createApiClient(origin, operatorKey).get<Rollout>(`/v1/rollouts/${rolloutId}`);
  const held = await rollout();
  expect(held).toMatchObject({ state: 'paused', paused_reason: { code: 'requested' } });
  const states = (await jobsAt(origin)).map(({ state }) => state);
  expect(states).toContain('paused');
  for (const state of states) expect(['paused', 'ready', 'not_ready']).toContain(state);
  await change(origin, 'resume');
  await eventually('the rollout is completed', async () => (await rollout()).state === 'completed', 120_000);
  const after = await jobsAt(origin);
  for (const job of after.filter(({ ttr_ms: ttr }) => ttr !== null)) {
    const sum = Object.values(job.phases).reduce((a, b) => a + b, 0);
    expect(Math.abs(sum - job.ttr_ms!)).toBeLessThan(1);
  }
  expect(after.find(({ id }) => id === interrupted.id)!.phases.held).toBeGreaterThan(0);

  const postgres = await startEmbeddedPostgres(dataDir);
  const db = createDatabase(postgres.url, { poolSize: 4 });
  const artifacts = await createFilesystemStore(path.join(dataDir, 'artifacts'));
  const reference = createReference({ db, family, cacheDir }, artifacts);
  try {
    // An attempt that a pause has ended counts for nothing.
    const counted = await db.job.findMany({ where: { rolloutId, attempt: { gt: 1 } } });
    expect(counted.length).toBeGreaterThan(0);
    for (const job of counted) expect(job.attempt - job.excusedAttempts).toBe(1);
    expect(await problemsOf({ stack: { db, origin, operatorKey }, artifacts, reference, rolloutId })).toEqual([]);
  } finally {
    await reference.close();
    await db.$disconnect();
    await postgres.stop();
  }
}, 300_000);
