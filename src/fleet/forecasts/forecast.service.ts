import type { QueueEntry } from '../../platform/queue/catalog.ts';
import { writeOutbox } from '../../platform/queue/outbox.repository.ts';
import type { QueueProducer } from '../../platform/queue/producer.ts';
import type { RecoverySource } from '../../platform/queue/sweeper.ts';
import { withTransaction, type Database, type Transaction } from '../../platform/database/database.ts';
import { notFound, unprocessable } from '../../platform/contract/errors.ts';
import { newId } from '../../platform/contract/ids.ts';
import { toPage, type Page } from '../../platform/contract/pagination.ts';
import { unrecorded, type RecordAnswer } from '../../platform/contract/record-answer.ts';
import { recordEvent } from '../../delivery/events/index.ts';
import { optionsOf, type RolloutOptions } from '../rollouts/index.ts';
import { toForecast, toForecastEntry } from './forecast.mapper.ts';
import { createForecastRepository, type ForecastRow } from './forecast.repository.ts';
import type { CreateForecast, Forecast, ForecastEntry, ForecastQuery } from './forecast.schemas.ts';

/** Creates the service for forecasts of rollouts, which only the operator may use. */
export function createForecastService({ db, producer }: { db: Database; producer: QueueProducer }) {
  const forecasts = createForecastRepository(db);
  const show = async (row: ForecastRow): Promise<Forecast> => {
    const [drifts, rollout] = [await forecasts.drifts(row.baseModelVersionId), await forecasts.rolloutOf(row)];
    const hasEnded = rollout !== null && rollout.finished_at !== null;
    return toForecast(row, { drifts, rollout, truth: hasEnded ? await forecasts.truth(rollout.id) : null });
  };
  return {
    /**
     * Requests a dry run: a forecast of a rollout that is not started. @throws AppError 422
     * `base_model_version_not_found`
     */
    async create(
      { base_model_version_id: baseModelVersionId, options }: CreateForecast,
      record: RecordAnswer<Forecast> = unrecorded,
    ): Promise<Forecast> {
      const { forecast, entries } = await withTransaction(db, async (tx) => {
        const created = await createForecast(tx, { baseModelVersionId, options: options ?? {} });
        await record(tx, created.forecast);
        return created;
      });
      await producer.enqueueAfterCommit(entries);
      return forecast;
    },

    /** Finds a forecast by its identifier. @throws AppError 404 */
    async get(id: string): Promise<Forecast> {
      const row = await forecasts.find(id);
      if (row === null) throw notFound('rollout forecast', id);
      return show(row);
    },

    /** Finds the forecast that a rollout stored before its jobs were planned. @throws AppError 404 */
    async ofRollout(rolloutId: string): Promise<Forecast> {
      const row = await forecasts.ofRollout(rolloutId);
      if (row === null) throw notFound('forecast of rollout', rolloutId);
      return show(row);
    },

    async list(query: ForecastQuery): Promise<Page<ForecastEntry>> {
      return toPage(await forecasts.page(query), query, toForecastEntry);
    },
  };
}

/**
 * Accepts a dry run within the caller's transaction: a worker will compute the forecast, and no rollout is started.
 * After the commit the caller has to pass `entries` to `producer.enqueueAfterCommit`.
 * @throws AppError 422 `base_model_version_not_found`
 */
export async function createForecast(
  tx: Transaction,
  { baseModelVersionId, options }: { baseModelVersionId: string; options: RolloutOptions },
): Promise<{ forecast: Forecast; entries: QueueEntry[] }> {
  const forecasts = createForecastRepository(tx);
  if (!(await forecasts.baseModelVersionExists(baseModelVersionId))) {
    throw unprocessable('base_model_version_not_found', `base model version ${baseModelVersionId} does not exist`);
  }
  const id = newId('forecast');
  const stored = await optionsOf(tx, baseModelVersionId, options);
  const row = await forecasts.insert(tx, { id, baseModelVersionId, options: stored });
  const data = { base_model_version_id: baseModelVersionId };
  await recordEvent(tx, { tenantId: null, type: 'rollout_forecast.requested', subjectId: id, data });
  const entries = [toForecastJob(id)];
  await writeOutbox(tx, entries);
  return { forecast: toForecast(row, { drifts: [], rollout: null, truth: null }), entries };
}

function toForecastJob(id: string): QueueEntry {
  return { name: 'rollout.forecast', id, payload: { forecastId: id } };
}

/**
 * Creates the source by which the sweeper finds forecasts that are still to be computed, and adds missing queue
 * entries.
 */
export function forecastRecoverySource(db: Database): RecoverySource {
  const forecasts = createForecastRepository(db);
  return {
    queue: 'rollouts',
    // Only the queue holds a lease on a computation.
    expired: () => Promise.resolve([]),
    countLive: () => forecasts.countUnfinished(),
    live: async (after, limit) =>
      (await forecasts.unfinished(after, limit)).map(({ id }) => ({ rowId: id, entry: toForecastJob(id) })),
  };
}
