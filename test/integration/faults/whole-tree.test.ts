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

test('kill −9 of API, worker, training process and PostgreSQL at once: the next start ends the rollout as if nothing had happened', async () => {
  const dataDir = path.join(folder, 'data');
  const cacheDir = path.join(family.folder, 'cache');
  const env = {
    READAPT_ALLOWED_ROOTS: [family.folder, BASE].join(path.delimiter),
    READAPT_GRAPH_CACHE: cacheDir,
    READAPT_THREADS: '1',
  };
  const first = await serve(folder, [], { env });
  const operatorKey = first.operatorKey!;
  const rolloutId = await startRollout({ origin: first.url, operatorKey, family }, 'killed');
  const jobs = async () =>
    (await createApiClient(first.url, operatorKey).get<{ data: Job[] }>(`/v1/jobs?rollout_id=${rolloutId}`)).data;
  await eventually('a job is trained', async () => (await jobs()).some(({ state }) => state === 'fine_tuning'), 60_000);
  await killEverything(folder);

  const { url: origin } = await serve(folder, [], { env });
  const rollout = () => createApiClient(origin, operatorKey).get<Rollout>(`/v1/rollouts/${rolloutId}`);
  await eventually('the rollout is completed', async () => (await rollout()).state === 'completed', 120_000);

  const postgres = await startEmbeddedPostgres(dataDir);
  const db = createDatabase(postgres.url, { poolSize: 4 });
  const artifacts = await createFilesystemStore(path.join(dataDir, 'artifacts'));
  const reference = createReference({ db, family, cacheDir }, artifacts);
  try {
    expect(await db.job.count({ where: { rolloutId, attempt: { gt: 1 } } })).toBe(1);
    expect(await problemsOf({ stack: { db, origin, operatorKey }, artifacts, reference, rolloutId })).toEqual([]);
  } finally {
    await reference.close();
    await db.$disconnect();
    await postgres.stop();
  }
}, 300_000);
