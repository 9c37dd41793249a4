import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { loadConfig } from '../../../src/platform/config/config.ts';
import { createSweeper, type RecoverySource } from '../../../src/platform/queue/index.ts';
import { withTransaction, type Database } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { jobRecoverySource } from '../../../src/fleet/rollouts/order/job-recovery.ts';
import { createRolloutService } from '../../../src/fleet/rollouts/index.ts';
import { createOutcomeRequests, outcomesRecoverySource, requestOutcomes } from '../../../src/fleet/outcomes/index.ts';
import { startWorker, type RunningWorker } from '../../../workers/start/start-worker.ts';
import { createTrainingProcess, type TrainingProcess } from '../../../workers/training/training-process.ts';
import { createFleet, type Behavior, type Fleet } from '../queue/fleet.ts';
import { eventually } from '../../eventually.ts';
import { createTestQueue, logger, queueKind, type TestQueue } from '../queue/test-queue.ts';
import { WORKER_TIMES } from '../queue/worker-times.ts';

const ENTRY = fileURLToPath(new URL('./scripted-training.ts', import.meta.url));
const RELATIVE = { kind: 'relative', margin: 0.02 };
/** Outcomes that the scripted training process reports. */
const MEASURED = { digest: `sha256:${'2'.repeat(64)}`, value: 0.5, standardError: 0.25, values: [0, 1] };

let queue: TestQueue;
let db: Database;
let training: TrainingProcess;
let fleet: Fleet;
let log: string;
let workers: RunningWorker[] = [];

beforeAll(async () => {
  queue = await createTestQueue();
  ({ db } = queue.database);
  training = createTrainingProcess({ logger, entry: ENTRY, cancelGraceMs: 2000 });
});
beforeEach(() => useFleet());
afterEach(async () => {
  for (const worker of workers) await worker.stop();
  workers = [];
  await queue.clear();
  await db.outcomeRequest.deleteMany();
  await db.rollout.updateMany({ data: { state: 'cancelled' } });
  await db.job.updateMany({ where: { finishedAt: null }, data: { state: 'cancelled', finishedAt: new Date() } });
  await fleet.remove();
});
afterAll(async () => {
  await training.stop();
  await queue.close();
});

/** @param of number of adapters of each of two tenants; by default they get them in turn */
async function useFleet(of?: readonly [number, number]): Promise<void> {
  fleet = await createFleet(db, { tenants: 2, adapters: 4, of });
  log = path.join(fleet.folder, 'requests.log');
  await db.adapter.updateMany({ data: { gate: RELATIVE } });
}

async function start(env: Record<string, string> = {}): Promise<RunningWorker> {
  const { backend, producer } = queue;
  const folders = { READAPT_DATA_DIR: path.join(fleet.folder, 'data'), DATABASE_URL: queue.database.url };
  const parts = { db, artifacts: fleet.artifacts, backend, producer, training, logger };
  const worker = await startWorker(loadConfig({ ...folders, ...env }), parts, { ...WORKER_TIMES, askAgainMs: 100 });
  workers.push(worker);
  return worker;
}

const behave = (behavior: Behavior) => fleet.behaveOnOld({ log, ...behavior });
const versions = () =>
  db.adapterVersion.findMany({ where: { adapterId: { in: fleet.adapters } }, orderBy: { id: 'asc' } });

/** Requests measurements of versions like an import. */
async function request(which: (place: number) => boolean = () => true): Promise<string[]> {
  const found = (await versions()).filter((_, place) => which(place));
  await withTransaction(db, async (tx) => {
    for (const { id, tenantId } of found) {
      await requestOutcomes(tx, { gate: RELATIVE, datasetId: 'any' }, { tenantId, versionIds: [id] });
    }
  });
  return found.map(({ id }) => id);
}

const requestsLogged = async (): Promise<string[]> => {
  const text = await readFile(log, 'utf8').catch(() => '');
  return text
    .split('\n')
    .map((line) => line.split(' ')[0]!)
    .filter((line) => line !== '');
};
const logged = (count: number) =>
  eventually(`${count} requests are logged`, async () => (await requestsLogged()).length === count);
const done = () => eventually('nothing is requested any more', async () => (await db.outcomeRequest.count()) === 0);

describe(`measurements ahead of rollouts, queue on ${queueKind}`, () => {
  test('an idle worker makes them, and the next rollout is given them', async () => {
    await behave({});
    const ids = await request();
    await start();
    await done();
    const kept = await db.gateOutcomes.findMany({ where: { adapterVersionId: { in: ids } } });
    expect(kept).toHaveLength(4);
    for (const outcomes of kept) expect(outcomes).toMatchObject(MEASURED);
    const events = await db.event.findMany({ where: { subjectId: { in: ids } } });
    expect(events.map(({ type, data }) => [type, data])).toEqual(
      Array(4).fill([
        'adapter_version.measured',
        expect.objectContaining({ metric: 'accuracy', value: 0.5, number: 1 }),
      ]),
    );
    await eventually('the queue is empty', async () => (await queue.producer.count('adaptations')) === 0);
    const uses = await db.deviceUse.findMany({ where: { jobId: { in: ids } } });
    expect(uses.map(({ jobId }) => jobId).sort()).toEqual(ids);
  });

  test('one that runs makes room for a rollout, whose jobs measure what they need themselves', async () => {
    await behave({ outcomes: 'hang' });
    await fleet.behave({ log });
    const [id] = await request((place) => place === 0);
    await start();
    await logged(1);
    const rollouts = createRolloutService({ db, producer: queue.producer });
    const selection = { adapters: (await versions()).slice(0, 2).map(({ adapterId }) => adapterId) };
    const { id: rolloutId } = await rollouts.create({
      base_model_version_id: fleet.newVersionId,
      options: { policy: { selection } },
    });
    await eventually(
      'the rollout is completed',
      async () => (await rollouts.get(rolloutId, null)).state === 'completed',
    );
    const order = await requestsLogged();
    expect(order).toEqual(['outcomes', 'adaptation', 'adaptation', 'baselines', 'baselines']);
    // The job has measured it, so it is not measured again.
    expect(await db.gateOutcomes.findUnique({ where: { adapterVersionId: id! } })).toMatchObject({ values: [1, 0] });
    expect(await db.outcomeRequest.count()).toBe(0);
  });

  test('none begins while a rollout waits', async () => {
    await behave({});
    const waiting = { baseModelVersionId: fleet.newVersionId, options: {} };
    const { id } = await db.rollout.create({ data: { id: 'rol_waiting', state: 'analyzing', ...waiting } });
    await request((place) => place === 0);
    await start();
    await eventually('a worker has put it off', async () => {
      const [row] = await db.outcomeRequest.findMany();
      return row!.queued && (await queue.producer.count('adaptations')) === 1;
    });
    expect(await requestsLogged()).toEqual([]);
    await db.rollout.update({ where: { id }, data: { state: 'completed' } });
    await done();
    expect(await requestsLogged()).toEqual(['outcomes']);
  });

  test('one whose rows change while it runs is made again', async () => {
    const until = path.join(fleet.folder, 'go');
    await behave({ until });
    const [id] = await request((place) => place === 0);
    await start();
    await logged(1);
    await request((place) => place === 0);
    await behave({});
    // The process reads its behavior once per request, so the first request still waits.
    await writeFile(until, '');
    await done();
    expect(await requestsLogged()).toEqual(['outcomes', 'outcomes']);
    expect(await db.gateOutcomes.findUnique({ where: { adapterVersionId: id! } })).toMatchObject(MEASURED);
  });

  test('one that cannot be made or kills its worker again and again is given up, and says so', async () => {
    await behave({ outcomes: 'permanent' });
    const [first, deadly] = await request((place) => place < 2);
    await db.outcomeRequest.update({ where: { adapterVersionId: deadly! }, data: { attempt: 10 } });
    await start();
    await done();
    expect(await requestsLogged()).toEqual(['outcomes']);
    const [event] = await db.event.findMany({ where: { subjectId: first! } });
    const error = { code: 'too_long', message: 'no row can be measured' };
    expect(event).toMatchObject({ type: 'adapter_version.not_measured', data: { number: 1, error } });
    const [other] = await db.event.findMany({ where: { subjectId: deadly! } });
    expect(other).toMatchObject({ data: { error: { code: 'too_many_attempts' } } });
    expect(await db.gateOutcomes.count({ where: { adapterVersionId: { in: [first!, deadly!] } } })).toBe(0);
  });

  const DROPPED = 'one is dropped if its version, its adapter or its tenant was deleted, or its dataset is gone';
  test(DROPPED, async () => {
    await fleet.remove();
    await useFleet([1, 3]);
    await behave({});
    const ids = await request();
    const [gone, living] = fleet.tenants as [string, string];
    const [version, adapter, without] = await db.adapterVersion.findMany({ where: { tenantId: living } });
    const deletion = { data: { deletedAt: new Date() } };
    await db.tenant.update({ where: { id: gone }, ...deletion });
    await db.adapterVersion.update({ where: { id: version!.id }, ...deletion });
    await db.adapter.update({ where: { id: adapter!.adapterId }, ...deletion });
    await db.adapter.update({ where: { id: without!.adapterId }, data: { datasetId: null } });
    await start();
    await done();
    expect(await requestsLogged()).toEqual([]);
    expect(await db.gateOutcomes.count({ where: { adapterVersionId: { in: ids } } })).toBe(0);
  });

  test('a tenant that has used up its device seconds gets none, and others do', async () => {
    await behave({});
    const ids = await request();
    const [poor] = fleet.tenants as [string, string];
    await db.tenant.update({ where: { id: poor }, data: { quotas: { device_seconds: 0 } } });
    await start();
    await done();
    const kept = await db.gateOutcomes.findMany({ where: { adapterVersionId: { in: ids } } });
    expect(kept.map(({ tenantId }) => tenantId)).toEqual([fleet.tenants[1], fleet.tenants[1]]);
  });

  test('one of a worker that died is made by another one', async () => {
    await behave({});
    const [id] = await request((place) => place === 0);
    const requests = createOutcomeRequests({ db });
    expect(await requests.claim({ versionId: id!, owner: 'dead' })).toMatchObject({ attempt: 1 });
    expect(await requests.claim({ versionId: id!, owner: 'second' })).toBeNull();
    await db.outcomeRequest.update({ where: { adapterVersionId: id! }, data: { leaseExpiresAt: new Date() } });
    await start();
    await done();
    expect(await db.gateOutcomes.findUnique({ where: { adapterVersionId: id! } })).toMatchObject(MEASURED);
    // The dead worker held the device until its lease ran out.
    expect(await db.deviceUse.count({ where: { jobId: id! } })).toBe(2);
  });

  test('the queue is given a few at a time, of all tenants', async () => {
    const adapters = await db.adapter.findMany({ where: { id: { in: fleet.adapters } }, orderBy: { id: 'asc' } });
    const [first] = await versions();
    const rows = adapters.flatMap(({ id: adapterId, tenantId }, place) =>
      Array.from({ length: place === 0 ? 40 : 1 }, (_, number) => ({
        ...{ adapterId, tenantId, baseModelVersionId: fleet.oldVersionId, origin: 'imported', rank: 4, loraAlpha: 8 },
        ...{
          id: `adv_${place}-${String(number).padStart(2, '0')}`,
          number: number + 2,
          artifactDigest: first!.artifactDigest,
        },
      })),
    );
    await db.adapterVersion.createMany({ data: rows });
    await db.outcomeRequest.createMany({ data: rows.map(({ id, tenantId }) => ({ adapterVersionId: id, tenantId })) });
    const source = outcomesRecoverySource(db);
    const queued = (await source.expired(1000)).map(({ id }) => id);
    expect(queued).toHaveLength(20);
    // The other tenant's measurements do not queue behind the forty of the first tenant.
    expect(queued).toEqual(expect.arrayContaining(['adv_1-00-outcomes', 'adv_3-00-outcomes']));
    expect(await source.countLive()).toBe(20);
    expect(await source.expired(1000)).toEqual([]);
    await db.outcomeRequest.deleteMany({ where: { adapterVersionId: { in: ['adv_0-00', 'adv_1-00'] } } });
    expect(await source.expired(1000)).toHaveLength(2);
  });

  test('those that the queue has lost come back, and do not hide lost jobs', async () => {
    await request();
    const sources = [jobRecoverySource(db), outcomesRecoverySource(db)];
    const sweeper = createSweeper({ db, producer: queue.producer, sources, logger, graceMs: 0 });
    expect(await sweeper.sweep()).toBe(4);
    expect(await queue.producer.count('adaptations')).toBe(4);
    await queue.clear();
    expect(await sweeper.sweep()).toBe(4);
    expect(await queue.producer.count('adaptations')).toBe(4);
    expect(await sweeper.sweep()).toBe(0);
    const lost = [newId('job'), newId('job')].map((jobId) => ({
      rowId: jobId,
      entry: { name: 'adaptation.run', id: jobId, payload: { jobId } } as const,
    }));
    const jobs: RecoverySource = {
      queue: 'adaptations',
      expired: () => Promise.resolve([]),
      countLive: () => Promise.resolve(lost.length),
      live: () => Promise.resolve(lost),
    };
    const both = { db, producer: queue.producer, sources: [jobs, sources[1]!], logger };
    expect(await createSweeper(both).sweep()).toBe(2);
    expect(await queue.producer.count('adaptations')).toBe(6);
  });
});
