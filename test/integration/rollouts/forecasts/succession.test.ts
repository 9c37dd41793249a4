import { expect, test } from 'vitest';
import { NO_QUOTAS } from '../../../../src/platform/config/quotas.ts';
import { withTransaction } from '../../../../src/platform/database/database.ts';
import { createForecastLifecycle } from '../../../../src/fleet/forecasts/forecast-lifecycle.ts';
import { createForecastService } from '../../../../src/fleet/forecasts/forecast.service.ts';
import { optionsOf, type RolloutOptions } from '../../../../src/fleet/rollouts/index.ts';
import { queueKind } from '../../queue/test-queue.ts';
import type { Fleet } from '../../queue/fleet.ts';
import { useControlledFleets } from '../control/controlled-fleet.ts';
import { plannedFleetsOf } from '../control/planned-fleet.ts';
import { addBase, claim } from '../succession/two-rollouts.ts';

const world = useControlledFleets();
const { begun } = plannedFleetsOf(world);

/** Forecasts of a rollout to a newer version than that of the fleet's rollout. */
function forecaster(fleet: Fleet, quotas = NO_QUOTAS) {
  const { db } = world;
  const { producer } = world.queue;
  let version: string | undefined;
  return async (options: RolloutOptions = {}) => {
    version ??= await addBase(db, fleet);
    const baseModelVersionId = version;
    const { id } = await createForecastService({ db, producer }).create({
      base_model_version_id: baseModelVersionId,
      options,
    });
    const stored = await withTransaction(db, (tx) => optionsOf(tx, baseModelVersionId, options));
    const found = { baseModelVersionId, options: stored, refusals: new Map(), analysisMs: 0, rolloutId: null };
    const lifecycle = createForecastLifecycle({ db, quotas });
    await lifecycle.begin(id);
    await lifecycle.complete(id, found);
    return createForecastService({ db, producer }).get(id);
  };
}

test(`jobs of an older rollout that it will end are not ahead of a rollout, queue on ${queueKind}`, async () => {
  const { fleet, second } = await begun(4);
  const [running, taken, other, without] = fleet.adapters as [string, string, string, string];
  const { id } = await world.db.job.findFirstOrThrow({ where: { rolloutId: second, adapterId: running } });
  await claim(world.db, id);
  const forecast = forecaster(fleet);
  expect(await forecast()).toMatchObject({ jobs_ahead: 1 });
  expect(await forecast({ policy: { supersede: 'stop' } })).toMatchObject({ jobs_ahead: 0 });
  expect(await forecast({ policy: { selection: { adapters: [taken] } } })).toMatchObject({ jobs_ahead: 3 });
  // Neither adapter is taken: one is pinned, and the other's new job would fail immediately.
  const pin = { pinnedBaseModelVersionId: fleet.newVersionId };
  await world.db.adapter.update({ where: { id: other }, data: pin });
  await world.db.adapter.update({ where: { id: without }, data: { datasetId: null } });
  expect(await forecast()).toMatchObject({ jobs_ahead: 3 });
});

const ROOM_BY_SUPERSESSION =
  'jobs that take the places of older ones find room, also where the limit was lowered below their number';
test(ROOM_BY_SUPERSESSION, async () => {
  const { fleet } = await begun(4);
  const forecast = forecaster(fleet, { ...NO_QUOTAS, queued_jobs: 2 });
  expect(await forecast()).toMatchObject({ adapters: { taken: 4 }, skipped: [] });
  const policy = { selection: { adapters: fleet.adapters.slice(0, 1) } };
  expect(await forecast({ policy })).toMatchObject({ adapters: { taken: 1 } });
});
