import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createQueueProducer, createQueueBackend } from '../../src/platform/queue/index.ts';
import { withTransaction } from '../../src/platform/database/database.ts';
import { outcomesRecoverySource, requestOutcomes } from '../../src/fleet/outcomes/index.ts';
import { compiledCommand } from '../compiled/index.ts';
import { eventually } from '../eventually.ts';
import { logger } from '../integration/queue/test-queue.ts';
import { checkOut, hasCommit, lastRelease, type EarlierVersion } from './earlier-version.ts';
import type { Process } from './processes.ts';
import { UpgradeWorld } from './upgrade-world.ts';

const OURS = compiledCommand();
const release = await lastRelease();
const isThere = hasCommit(release.commit);
if (!isThere) {
  const message =
    `the commit of version ${release.version}, ${release.commit}, ` +
    'is not in this checkout, whose history is shallow';
  if (process.env.READAPT_TEST_UPGRADE === 'required') throw new Error(`${message}: fetch it`);
  console.warn(`${message}: the rolling upgrade is not tested`);
}

/** Requests that the latest version be measured, as an import by the new API does, and waits for the result. */
async function measure({ db, postgres }: UpgradeWorld): Promise<void> {
  const { id, tenantId } = await db.adapterVersion.findFirstOrThrow({ orderBy: { number: 'desc' } });
  const { measuredAt } = await db.gateOutcomes.findUniqueOrThrow({ where: { adapterVersionId: id } });
  const task = { gate: { kind: 'relative', margin: 0.2 }, datasetId: 'any' };
  await withTransaction(db, (tx) => requestOutcomes(tx, task, { tenantId, versionIds: [id] }));
  const backend = createQueueBackend({ databaseUrl: postgres.url, redisUrl: null });
  const producer = await createQueueProducer({ db, backend, logger });
  // None is left if the sweeper of an API has put it into the queue meanwhile.
  await producer.enqueue(await outcomesRecoverySource(db).expired(10));
  await producer.close();
  await eventually('it is measured', async () => (await db.outcomeRequest.count()) === 0);
  const { measuredAt: again } = await db.gateOutcomes.findUniqueOrThrow({ where: { adapterVersionId: id } });
  expect(again.getTime()).toBeGreaterThan(measuredAt.getTime());
}

describe.runIf(isThere)(`version ${release.version} and this one on one database`, () => {
  let world: UpgradeWorld;
  let earlier: EarlierVersion;
  let oldApi: Process;
  /** Migrations since the earlier version; none right after a release. */
  let added: string[];

  beforeAll(async () => {
    earlier = await checkOut(release);
    world = await UpgradeWorld.create();
  });
  afterAll(async () => {
    await world?.remove();
    await earlier?.remove();
  });

  test('a service of the earlier version has a fleet', async () => {
    oldApi = world.startApi(earlier.command);
    await world.registerFleet(oldApi);
  });

  test('its worker runs what the new API has accepted', async () => {
    const oldWorker = await world.startWorker(earlier.command);
    // The migrations are applied while the earlier version runs.
    const migration = world.start(OURS, 'migrate', '--json');
    expect(await migration.ended()).toBe(0);
    added = (JSON.parse(migration.output()) as { applied: string[] }).applied;
    await world.roll(world.startApi(OURS), '2', 'newBase');
    expect(oldWorker.child.exitCode).toBeNull();
    await oldWorker.stop();
  });

  test('its API, which goes on, hands a rollout to a new worker', async () => {
    const newWorker = await world.startWorker(OURS);
    await world.roll(oldApi, '3', 'oldBase');
    const { servingName } = await world.db.baseModelVersion.findFirstOrThrow({ where: { version: '3' } });
    expect(servingName).toBe(world.family.oldBase);
    // The operator lets it finish by a signal.
    expect(await newWorker.stop('SIGUSR2')).toBe(0);
    await newWorker.ended();
    expect(newWorker.output()).toContain('drained');
  });

  test('workers of both share a queue', async () => {
    const oldWorker = await world.startWorker(earlier.command);
    await measure(world);
    const newWorker = await world.startWorker(OURS);
    await world.roll(oldApi, '4', 'newBase');
    expect([oldWorker.child.exitCode, newWorker.child.exitCode]).toEqual([null, null]);
    await newWorker.stop();
    await oldWorker.stop();
  });

  test('going back: the earlier version starts again, and its own API and worker carry on', async () => {
    await oldApi.stop();
    const again = world.startApi(earlier.command);
    // It warns of migrations that it does not know.
    await again.printed(added.length === 0 ? /readapt serves/ : new RegExp(added.at(-1)!));
    // A process of the new version that starts meanwhile does not mind.
    const late = world.startApi(OURS);
    await late.printed(/readapt serves/);
    await late.stop();
    const oldWorker = await world.startWorker(earlier.command);
    await world.roll(again, '5', 'oldBase');
    await oldWorker.stop();
    // And forward again.
    expect(await world.start(OURS, 'migrate').ended()).toBe(0);
    await world.startWorker(OURS);
    await world.roll(world.startApi(OURS), '6', 'newBase');
  });
});
