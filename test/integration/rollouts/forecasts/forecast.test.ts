import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { createSweeper } from '../../../../src/platform/queue/index.ts';
import { newId } from '../../../../src/platform/contract/ids.ts';
import { createForecastService } from '../../../../src/fleet/forecasts/forecast.service.ts';
import { forecastRecoverySource, type Forecast } from '../../../../src/fleet/forecasts/index.ts';
import { rolloutRecoverySource, type RolloutOptions } from '../../../../src/fleet/rollouts/index.ts';
import { writeHeartbeat } from '../../../../src/operations/workers/index.ts';
import type { RolloutPolicy } from '../../../../src/fleet/rollouts/policy.schemas.ts';
import type { Behavior, Fleet } from '../../queue/fleet.ts';
import { eventually } from '../../../eventually.ts';
import { logger, queueKind } from '../../queue/test-queue.ts';
import { useControlledFleets } from '../control/controlled-fleet.ts';

const world = useControlledFleets();

let fleet: Fleet;
beforeEach(async () => {
  fleet = await world.fleetOf({ tenants: 2, adapters: 5 });
});

/** Starts a worker for a fleet that is only as large as times need to be measured. */
async function workFor(adapters: number) {
  fleet = await world.fleetOf({ tenants: 2, adapters });
  return world.work(fleet);
}

/** Policy of a rollout that takes the first adapters of the fleet. */
const ofFirst = ({ adapters }: Fleet, count: number): RolloutPolicy => ({
  selection: { adapters: adapters.slice(0, count) },
});

const service = () => createForecastService({ db: world.db, producer: world.queue.producer });

/** Requests a forecast of a rollout to the fleet's new version. @returns its identifier */
async function ask(options: RolloutOptions = {}, version = fleet.newVersionId): Promise<string> {
  return (await service().create({ base_model_version_id: version, options })).id;
}

function ended(id: string, state = 'computed'): Promise<Forecast> {
  return eventually(`the forecast is ${state}`, async () => {
    const forecast = await service().get(id);
    return forecast.state === state && forecast;
  });
}

/** Adds a version of the fleet's base model with the given behavior. @returns its identifier */
async function addVersion(version: string, behavior: Behavior = {}): Promise<string> {
  const folder = path.join(fleet.folder, version);
  await mkdir(folder);
  await writeFile(path.join(folder, 'behavior.json'), JSON.stringify({ allBaselines: true, ...behavior }));
  await writeFile(path.join(folder, 'config.json'), '{}');
  const data = { id: newId('baseModelVersion'), baseModelId: fleet.baseModelId, version, path: folder };
  return (await world.db.baseModelVersion.create({ data: { ...data, servingName: version } })).id;
}

/**
 * State that a dry run must not change. The base's new fingerprint is a change, which followers of current versions are
 * told of.
 */
async function served() {
  const { db } = world;
  return {
    versions: await db.adapterVersion.findMany({ orderBy: { id: 'asc' } }),
    current: await db.currentVersion.findMany({
      orderBy: { adapterId: 'asc' },
      omit: { changeTransactionId: true, changeSeq: true },
    }),
    rollouts: await db.rollout.count(),
    jobs: await db.job.count(),
  };
}

describe(`a dry run, queue on ${queueKind}`, () => {
  test('examines the versions and counts the fleet, and changes nothing that is served', async () => {
    await world.work(fleet);
    const before = await served();
    const id = await ask({ policy: { waves: [{ count: 1 }, { percent: 40 }] } });
    const forecast = await ended(id);
    expect(forecast).toMatchObject({
      dry_run: true,
      rollout_id: null,
      error: null,
      adapters: { total: 5, taken: 5, skipped: 0 },
      tenants: [
        { tenant_id: fleet.tenants[0], jobs: 3 },
        { tenant_id: fleet.tenants[1], jobs: 2 },
      ],
      tenant_count: 2,
      skipped: [],
      waves: [1, 2, 2],
      workers: [{ device: 'auto', workers: 1 }],
      jobs_ahead: 0,
      ends_at: null,
      compatibility: [
        {
          old_base_model_version_id: fleet.oldVersionId,
          adapters: 5,
          problem: null,
          drift: 0.1,
          drift_by_projection: { 'self_attn.q_proj': { drift: 0.2 } },
          advice: { verdict: 'revert' },
        },
      ],
    });
    // Nothing was measured yet for a comparison.
    expect(forecast.reason).toMatch(/no device time was measured/);
    expect(forecast.basis).toMatchObject([{ likeness: null, jobs: 0 }]);
    expect(forecast.figures.device_seconds).toEqual({
      predicted: null,
      low: null,
      high: null,
      actual: null,
      ratio: null,
    });
    expect(await served()).toEqual(before);
    expect(await world.eventsOf(id)).toEqual(['rollout_forecast.requested', 'rollout_forecast.computed']);

    // The evolution is stored for the rollout.
    const evolutions = () => world.db.evolution.findMany({ where: { newBaseModelVersionId: fleet.newVersionId } });
    const kept = await evolutions();
    expect(kept).toMatchObject([{ state: 'ready' }]);
    await world.ended(await world.start(fleet, {}, { policy: ofFirst(fleet, 1) }), 'completed');
    expect(await evolutions()).toEqual(kept);
  });

  test('is kept by a rollout of itself, too, and both show the truth beside what they have predicted', async () => {
    await workFor(3);
    const first = await world.start(fleet, {});
    await world.ended(first, 'completed');
    expect(await service().ofRollout(first)).toMatchObject({ rollout_id: first, dry_run: false, basis: [{ jobs: 0 }] });

    const version = await addVersion('v3');
    const asked = await ended(await ask({}, version));
    expect(asked.basis).toEqual([
      {
        old_base_model_version_id: fleet.newVersionId,
        likeness: 'base_model',
        jobs: 3,
        rollouts: 1,
        text: 'from 3 jobs of one rollout of this base model',
      },
    ]);
    const { device_seconds: device } = asked.figures;
    expect(device.low).toBeLessThan(device.predicted!);
    expect(device.high).toBeGreaterThan(device.predicted!);
    expect([device.actual, device.ratio, asked.reason]).toEqual([null, null, null]);

    const withControls = await ended(await ask({ control: 'all' }, version));
    expect(withControls.figures.device_seconds.predicted).toBeGreaterThan(0);
    expect(withControls.figures.control_device_seconds.predicted).toBeNull();
    expect(withControls.reason).toMatch(/no job that trains from scratch was measured/);

    // Different options mean a different rollout.
    const other = await ask({ strategy: 'relora' }, version);
    expect(await ended(other)).toMatchObject({ basis: [{ likeness: null }] });
    const second = await world.rollouts.create({ base_model_version_id: version });
    const done = await world.ended(second.id, 'completed');
    for (const shown of [await service().ofRollout(second.id), await service().get(asked.id)]) {
      expect(shown.rollout_id).toBe(second.id);
      expect(shown.ends_at! > done.accepted_at).toBe(true);
      const { control_device_seconds: ofControls, ...figures } = shown.figures;
      expect(ofControls).toEqual({ predicted: 0, low: 0, high: 0, actual: 0, ratio: null });
      for (const figure of Object.values(figures)) {
        expect(figure.actual).toBeGreaterThan(0);
        expect(figure.ratio).toBeCloseTo(figure.actual! / figure.predicted!, 10);
      }
      expect(shown.figures.makespan_ms.actual).toBe(done.summary.makespan_ms);
      expect(shown.figures.ttr_p50_ms.actual).toBe(done.summary.median_ttr_ms);
    }
    expect((await service().get(other)).rollout_id).toBeNull();
    const uses = await world.db.$queryRaw<[{ seconds: number }]>`
      SELECT sum(EXTRACT(EPOCH FROM u.ended_at - u.started_at))::float8 AS seconds FROM device_uses u
      JOIN jobs j ON j.id = u.job_id WHERE j.rollout_id = ${second.id}`;
    expect((await service().get(asked.id)).figures.device_seconds.actual).toBeCloseTo(uses[0].seconds, 6);
  });

  test('says what would not be carried over, and why', async () => {
    await world.work(fleet);
    const [carried, imported, without, , last] = fleet.adapters as [string, string, string, string, string];
    const other = await addVersion('v0', { hiddenSize: 32 });
    const rowOf = async (adapterId: string) =>
      world.db.adapterVersion.findFirstOrThrow({ where: { adapterId }, orderBy: { number: 'desc' } });
    const add = async (adapterId: string, baseModelVersionId: string) => {
      const {
        id,
        number,
        metrics: _metrics,
        source: _source,
        servedFeatures: _features,
        ...row
      } = await rowOf(adapterId);
      const data = { ...row, id: newId('adapterVersion'), number: number + 1, baseModelVersionId };
      await world.db.adapterVersion.create({ data: { ...data, parentVersionId: id } });
    };
    await add(carried, fleet.newVersionId);
    await add(imported, other);
    await world.db.adapter.update({ where: { id: without }, data: { datasetId: null } });
    await world.db.adapterVersion.deleteMany({ where: { adapterId: last } });
    const { id: _id, ...adapter } = await world.db.adapter.findUniqueOrThrow({ where: { id: without } });
    const more = await world.fleetOf({ tenants: 1, adapters: 3 });
    await world.db.adapter.updateMany({
      where: { id: { in: more.adapters } },
      data: { baseModelId: adapter.baseModelId },
    });
    await world.db.adapterVersion.updateMany({
      where: { adapterId: { in: more.adapters } },
      data: { baseModelVersionId: fleet.oldVersionId },
    });
    await world.db.tenant.update({ where: { id: more.tenants[0]! }, data: { quotas: { queued_jobs: 1 } } });

    const all = await ended(await ask());
    expect(all).toMatchObject({ adapters: { total: 8, taken: 2, skipped: 6 }, tenant_count: 2 });
    expect(all.skipped).toEqual([
      { reason: 'incompatible', adapters: 1 },
      { reason: 'dataset_missing', adapters: 1 },
      { reason: 'quota_exceeded', adapters: 2 },
      { reason: 'no_version', adapters: 1 },
      { reason: 'carried_over', adapters: 1 },
    ]);
    const refused = all.compatibility.find(({ old_base_model_version_id: old }) => old === other);
    expect(refused).toMatchObject({ adapters: 1, problem: { code: 'incompatible_base_model_versions' }, drift: null });

    const some = await ended(await ask({ policy: { selection: { tenants: [fleet.tenants[0]!] } } }));
    expect(some.adapters).toEqual({ total: 8, taken: 0, skipped: 8 });
    expect(some.skipped).toContainEqual({ reason: 'not_selected', adapters: 5 });
    // Without jobs it takes no device time.
    expect(some.figures.device_seconds).toMatchObject({ predicted: 0 });

    // The actual rollout matches the forecast.
    const rollout = await world.ended(await world.start(fleet, {}), 'completed');
    expect(rollout.jobs).toEqual({ ready: 2, failed: 4 });
  });

  test('counts the adapters that break the serving profile, as far as it is known what they are', async () => {
    await world.work(fleet);
    const [dora, patterned, ranked, , other] = fleet.adapters as [string, string, string, string, string];
    const plain = { rank: 4, dora: false, rslora: false, patterned: false, modules: ['q_proj', 'v_proj'] };
    const set = (adapterId: string, data: object) => world.db.adapterVersion.updateMany({ where: { adapterId }, data });
    await set(dora, { servedFeatures: { ...plain, dora: true } });
    await set(patterned, { servedFeatures: { ...plain, rank: 16, patterned: true } });
    // Only its rank is known.
    await set(ranked, { rank: 32 });
    await set(other, { servedFeatures: { ...plain, modules: ['q_proj', 'gate_proj'] } });
    const profiles: [object, number][] = [
      [{}, 0],
      [{ dora: false }, 1],
      [{ max_rank: 16 }, 1],
      [{ max_rank: 8 }, 2],
      [{ rslora: false, rank_patterns: false }, 1],
      [{ modules: ['q_proj', 'v_proj', 'o_proj'] }, 1],
      [{ max_rank: 8, dora: false, rank_patterns: false, modules: ['v_proj', 'q_proj'] }, 4],
    ];
    for (const [servingProfile, adapters] of profiles) {
      await world.db.baseModel.updateMany({ data: { servingProfile } });
      const found = await ended(await ask());
      expect(found.skipped, JSON.stringify(servingProfile)).toEqual(
        adapters === 0 ? [] : [{ reason: 'not_servable', adapters }],
      );
      expect(found.adapters).toEqual({ total: 5, taken: 5 - adapters, skipped: adapters });
    }
  });

  const TIMES_OF_OTHERS =
    'takes the times of another base model by parameters and rows where nothing else was measured, ' +
    'and counts workers by what their devices have measured';
  test(TIMES_OF_OTHERS, async () => {
    const worker = await workFor(3);
    await world.ended(await world.start(fleet, {}), 'completed');
    const other = await world.fleetOf({ tenants: 1, adapters: 4 });
    const { db } = world;
    const predicted = async () => {
      const { basis, figures } = await ended(await ask({}, other.newVersionId));
      expect(basis).toMatchObject([{ likeness: 'size', jobs: 3 }]);
      return figures.device_seconds.predicted!;
    };
    const before = await predicted();
    await db.dataset.updateMany({ where: { tenantId: other.tenants[0]! }, data: { rows: 10 } });
    expect((await predicted()) / before).toBeCloseTo(10, 6);
    await db.baseModelVersion.update({ where: { id: fleet.newVersionId }, data: { parameters: 500 } });
    expect((await predicted()) / before).toBeCloseTo(20, 6);
    // An unknown size cannot be scaled.
    await db.baseModelVersion.update({ where: { id: fleet.newVersionId }, data: { parameters: null } });
    expect(await ended(await ask({}, other.newVersionId))).toMatchObject({ basis: [{ likeness: null, jobs: 0 }] });

    const version = await addVersion('v3');
    const idle = {
      jobsDone: 0,
      jobsFailed: 0,
      faults: 0,
      busyMs: 0,
      load: null,
      loadedFolders: [],
      unreadableBases: [],
    };
    const nothing = { reason: null, quarantinedUntil: null, currentJob: null };
    const predictedBeside = async (tokensPerSecond: number) => {
      const fast = { id: 'wrk_fast', host: 'other', pid: 1, version: '0', device: 'cuda', memoryBytes: null };
      const report = { state: 'ready', ...nothing, ...idle, tokensPerSecond } as const;
      await writeHeartbeat(world.db, fast, report);
      await world.db.workerProcess.updateMany({ where: { device: 'auto' }, data: { tokensPerSecond: 1 } });
      const { workers, figures } = await ended(await ask({}, version));
      expect(workers).toEqual([
        { device: 'auto', workers: 1, tokens_per_second: 1 },
        { device: 'cuda', workers: 1, tokens_per_second: tokensPerSecond },
      ]);
      return figures.device_seconds.predicted!;
    };
    // The slow worker of the two has the first job, for five hundred times as long as if both were equally fast.
    expect((await predictedBeside(1000)) / (await predictedBeside(1))).toBeGreaterThan(10);
    await worker.stop();
    await world.db.workerProcess.deleteMany();
  });

  test('predicts the device time of controls from jobs that were trained from scratch', async () => {
    await world.work(fleet);
    const control = { control: 'all' } as const;
    const id = await world.start(fleet, {}, { ...control, policy: ofFirst(fleet, 3) });
    await world.ended(id, 'completed');
    const next = await addVersion('v3');
    const [{ seconds }] = await world.db.$queryRaw<[{ seconds: number }]>`
      SELECT sum(EXTRACT(EPOCH FROM u.ended_at - u.started_at))::float8 AS seconds FROM device_uses u
      JOIN jobs j ON j.id = u.job_id WHERE j.rollout_id = ${id} AND j.kind = 'control'`;
    const own = await service().ofRollout(id);
    expect(own).toMatchObject({ ends_at: null, figures: { control_device_seconds: { predicted: null, ratio: null } } });
    expect(own.figures.control_device_seconds.actual).toBeCloseTo(seconds, 6);

    const ofControls = async (options: RolloutOptions) => {
      const { figures, reason } = await ended(await ask(options, next));
      expect(reason).toBeNull();
      return figures.control_device_seconds.predicted!;
    };
    const all = await ofControls(control);
    const some = await ofControls({ control: 'sample', control_fraction: 0.2 });
    expect([some > 0, some < all / 2, await ofControls({})]).toEqual([true, true, 0]);
    // Jobs that require a tenant's approval have no controls.
    await world.db.adapter.updateMany({ where: { id: { in: [...fleet.adapters] } }, data: { approval: 'tenant' } });
    expect(await ofControls(control)).toBe(0);
  });

  test('fails where the new version cannot be used, and tells why', async () => {
    await world.work(fleet);
    await world.db.baseModelVersion.update({
      where: { id: fleet.newVersionId },
      data: { fingerprint: 'sha256:other' },
    });
    const forecast = await ended(await ask(), 'failed');
    expect(forecast.error).toMatchObject({ code: 'base_model_version_changed' });
    expect(await world.eventsOf(forecast.id)).toEqual(['rollout_forecast.requested', 'rollout_forecast.failed']);
  });

  test('ends at some time even if it takes each worker down', async () => {
    const id = await ask();
    await world.db.rolloutForecast.update({
      where: { id },
      data: { state: 'computing', attempt: 7, excusedAttempts: 2 },
    });
    await world.work(fleet);
    expect((await ended(id, 'failed')).error).toMatchObject({ code: 'too_many_attempts' });
  });

  test('is begun by the sweeper if the queue has lost it', async () => {
    const { db, queue } = world;
    const id = await ask();
    await queue.clear();
    await db.outboxEntry.deleteMany();
    const sources = [rolloutRecoverySource(db, queue.producer), forecastRecoverySource(db)];
    expect(await createSweeper({ db, producer: queue.producer, sources, logger }).sweep()).toBe(1);
    await world.work(fleet);
    await ended(id);
    expect(await createSweeper({ db, producer: queue.producer, sources, logger }).sweep()).toBe(0);
  });
});
