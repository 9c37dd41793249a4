import { isAbsolute } from 'node:path';
import type { QueueEntry } from '../../platform/queue/catalog.ts';
import type { QueueProducer } from '../../platform/queue/producer.ts';
import { withTransaction, type Database, type Transaction } from '../../platform/database/database.ts';
import { AppError, notFound, unprocessable } from '../../platform/contract/errors.ts';
import { newId } from '../../platform/contract/ids.ts';
import type { ReaderRole } from '../../platform/contract/principal.ts';
import { showError } from '../../platform/contract/shown-error.ts';
import { toPage, type Page, type PageQuery } from '../../platform/contract/pagination.ts';
import { unrecorded, type RecordAnswer } from '../../platform/contract/record-answer.ts';
import type { RecordChange } from '../../platform/contract/record-change.ts';
import { toTimestamp } from '../../platform/contract/schemas.ts';
import { atRiskRepository } from './at-risk.repository.ts';
import { recordEvent } from '../../delivery/events/index.ts';
import { createForecast } from '../forecasts/index.ts';
import { withoutAddress, createRollout, type RolloutOptions } from '../rollouts/index.ts';
import {
  baseModelRepository as models,
  findBaseModel,
  findBaseModelVersion,
  type BaseModelVersionRow,
} from './base-model.repository.ts';
import type {
  AtRisk,
  BaseModelResource,
  BaseModelVersion,
  CreateBaseModel,
  CreateBaseModelVersion,
  CreatedBaseModelVersion,
  UpdateBaseModel,
  UpdateBaseModelVersion,
} from './base-model.schemas.ts';
import { findFiles, toBaseSource, type SourceContext } from './version-source.ts';

export interface BaseModelServiceOptions {
  db: Database;
  producer: QueueProducer;
  /** Context for finding the folder, hub, bucket or upload from which a request takes a version's files. */
  files: SourceContext;
}

/**
 * Creates the service for base models and their versions. In all methods `scope` is the tenant to which the caller is
 * confined, or null for the operator. Only the operator sees paths of files.
 */
export function createBaseModelService({ db, producer, files }: BaseModelServiceOptions) {
  async function findModel(idOrName: string) {
    const model = await findBaseModel(db, idOrName);
    if (model === null) throw notFound('base model', idOrName);
    return model;
  }

  return {
    /** Creates a base model, which has no version yet. @throws AppError 409 `base_model_exists` */
    create: (
      { name, policy, serving_profile: servingProfile }: CreateBaseModel,
      record: RecordAnswer<BaseModelResource>,
    ): Promise<BaseModelResource> =>
      withTransaction(db, async (tx) => {
        const row = await models.insertModel(tx, { id: newId('baseModel'), name, policy, servingProfile });
        await recordEvent(tx, { tenantId: null, type: 'base_model.created', subjectId: row.id, data: { name } });
        const model = toBaseModel(row);
        await record(tx, model);
        return model;
      }),

    /**
     * Changes the default policy of a base model, the serving profile, or both. Rollouts accepted before keep their
     * policy. Jobs that begin after the change use the new serving profile.
     * @throws AppError 404 if there is no such base model
     */
    async update(
      idOrName: string,
      given: UpdateBaseModel,
      recordChange: RecordChange = unrecorded,
    ): Promise<BaseModelResource> {
      const { id } = await findModel(idOrName);
      return withTransaction(db, async (tx) => {
        await models.lockModel(tx, id);
        const before = toBaseModel((await findBaseModel(tx, id))!);
        const settings = { policy: given.policy, servingProfile: given.serving_profile };
        const after = toBaseModel(await models.setSettings(tx, id, settings));
        const names = (['policy', 'serving_profile'] as const).filter((name) => given[name] !== undefined);
        const changed = (model: BaseModelResource) => Object.fromEntries(names.map((name) => [name, model[name]]));
        const change = { before: changed(before), after: changed(after) };
        const { policy, serving_profile } = after;
        const data = { policy, serving_profile };
        await recordEvent(tx, { tenantId: null, type: 'base_model.updated', subjectId: id, data });
        await recordChange(tx, { tenantId: null, subjectId: id, ...change });
        return after;
      });
    },

    async list(query: PageQuery, scope: string | null): Promise<Page<BaseModelResource>> {
      return toPage(await models.pageModels(db, query), query, (row) => toBaseModel(row, scope));
    },

    /** Finds a base model by its identifier or its name. @throws AppError 404 */
    get: async (idOrName: string, scope: string | null): Promise<BaseModelResource> =>
      toBaseModel(await findModel(idOrName), scope),

    /**
     * Registers a version of a base model. The first version starts nothing, because there are no adapters to carry
     * over. A later version starts a rollout, unless the request says `start_rollout: false`, or asks with `dry_run`
     * for a forecast instead. The version, the rollout, the events and the outbox entries are committed together.
     *
     * @throws AppError 404, 409 `base_model_version_exists`, 422 `path_not_allowed`, `path_not_found`, `not_a_folder`,
     *   `invalid_base_model`, `dry_run_of_nothing`, or an error of {@link findFiles}
     */
    async addVersion(
      idOrName: string,
      request: CreateBaseModelVersion,
      record: RecordAnswer<CreatedBaseModelVersion>,
    ): Promise<CreatedBaseModelVersion> {
      const wanted = requestedRollout(request);
      if (request.dry_run === true && wanted === null) {
        const message =
          '`dry_run` asks what a rollout would do, and `start_rollout: false` wants none: leave one of them out';
        throw unprocessable('dry_run_of_nothing', message);
      }
      const model = await findModel(idOrName);
      const { path, config, defaultName, pinned, token } = await findFiles(request, files);
      const id = newId('baseModelVersion');
      const sealedToken = token === null ? null : files.box!.seal(token, id);
      const { answer, entries } = await withTransaction(db, async (tx) => {
        await models.lockModel(tx, model.id);
        const first = (await models.countVersions(tx, model.id)) === 0;
        const version = await models.insertVersion(tx, {
          id,
          baseModelId: model.id,
          version: request.version,
          path,
          servingName: request.serving_name ?? defaultName,
          config,
          pinned,
          sealedToken,
          retiresAt: request.retires_at === undefined ? null : new Date(request.retires_at),
        });
        await recordEvent(tx, {
          tenantId: null,
          type: 'base_model_version.registered',
          subjectId: version.id,
          data: { base_model_name: model.name, version: version.version },
        });
        const started =
          first || wanted === null
            ? NOTHING_STARTED
            : await startFor(tx, { baseModelVersionId: version.id, options: wanted }, request.dry_run);
        const { rollout, forecast } = started;
        const answer = { base_model_version: toBaseModelVersion(version, 'operator'), rollout, forecast };
        await record(tx, answer);
        return { answer, entries: started.entries };
      });
      await producer.enqueueAfterCommit(entries);
      return answer;
    },

    async listVersions(idOrName: string, query: PageQuery, reader: ReaderRole): Promise<Page<BaseModelVersion>> {
      const model = await findModel(idOrName);
      return toPage(await models.pageVersions(db, model.id, query), query, (row) => toBaseModelVersion(row, reader));
    },

    /** Finds a base model version by its identifier. @throws AppError 404 */
    async getVersion(id: string, reader: ReaderRole): Promise<BaseModelVersion> {
      const row = await findBaseModelVersion(db, id);
      if (row === null) throw notFound('base model version', id);
      return toBaseModelVersion(row, reader);
    },

    /**
     * Sets the date on which a base model version retires; null for never. Setting the present date again changes
     * nothing.
     * @throws AppError 404
     */
    updateVersion: (
      id: string,
      { retires_at: wanted }: UpdateBaseModelVersion,
      recordChange: RecordChange = unrecorded,
    ): Promise<BaseModelVersion> =>
      withTransaction(db, async (tx) => {
        await models.lockVersion(tx, id);
        const row = await findBaseModelVersion(tx, id);
        if (row === null) throw notFound('base model version', id);
        const retiresAt = wanted === null ? null : new Date(wanted);
        const [before, after] = [row.retiresAt, retiresAt].map((at) => ({ retires_at: toTimestamp(at) }));
        if (before!.retires_at === after!.retires_at) return toBaseModelVersion(row, 'operator');
        const changed = await models.setRetirement(tx, id, retiresAt);
        await recordEvent(tx, { tenantId: null, type: 'base_model_version.updated', subjectId: id, data: after! });
        await recordChange(tx, { tenantId: null, subjectId: id, before: before!, after: after! });
        return toBaseModelVersion(changed, 'operator');
      }),

    /**
     * Counts the adapters at risk: those that would be served on no base model version after this one retires.
     * @throws AppError 404
     */
    async atRisk(id: string): Promise<AtRisk> {
      const row = await findBaseModelVersion(db, id);
      if (row === null) throw notFound('base model version', id);
      const tenants = await atRiskRepository.byTenant(db, id, row.retiresAt);
      return {
        base_model_version_id: id,
        retires_at: toTimestamp(row.retiresAt),
        adapters: tenants[0]?.all_adapters ?? 0,
        tenant_count: tenants[0]?.all_tenants ?? 0,
        tenants: tenants.map(({ tenant_id, adapters }) => ({ tenant_id, adapters })),
      };
    },
  };
}

interface Started {
  readonly rollout: CreatedBaseModelVersion['rollout'];
  readonly forecast: CreatedBaseModelVersion['forecast'];
  /** Queue entries of the rollout or the forecast, to be added to the queue after the commit. */
  readonly entries: QueueEntry[];
}

const NOTHING_STARTED: Started = { rollout: null, forecast: null, entries: [] };

/**
 * Starts a rollout to a version that is being registered. If `isDryRun` is true, only requests a forecast of the
 * rollout.
 */
async function startFor(
  tx: Transaction,
  request: { baseModelVersionId: string; options: RolloutOptions },
  isDryRun = false,
): Promise<Started> {
  return isDryRun
    ? { ...NOTHING_STARTED, ...(await createForecast(tx, request)) }
    : { ...NOTHING_STARTED, ...(await createRollout(tx, request)) };
}

function toBaseModel(
  row: { id: string; name: string; policy: unknown; servingProfile: unknown; createdAt: Date },
  scope: string | null = null,
): BaseModelResource {
  const policy = row.policy as BaseModelResource['policy'];
  return {
    id: row.id,
    name: row.name,
    policy: policy === null || scope === null ? policy : withoutAddress(policy),
    serving_profile: row.servingProfile as BaseModelResource['serving_profile'],
    created_at: toTimestamp(row.createdAt),
  };
}

type Requested = Pick<CreateBaseModelVersion, 'rollout' | 'rollout_options' | 'start_rollout'>;

/**
 * Reads the options of the rollout that a registration asks for. The request can give them as `rollout` or as
 * `rollout_options`. Returns null if the request wants no rollout.
 * @throws AppError 400 `invalid_request` if members of the request contradict each other
 */
export function requestedRollout(request: Requested): RolloutOptions | null {
  const { rollout, rollout_options: options, start_rollout: isStarted = true } = request;
  if (rollout !== undefined) {
    if (options !== undefined) throw contradiction('rollout', '`rollout_options` stands beside it: give one of them');
    if (request.start_rollout !== undefined)
      throw contradiction('rollout', '`start_rollout` stands beside it: give `rollout_options` in its place');
    return rollout === false ? null : rollout;
  }
  if (!isStarted && options !== undefined)
    throw contradiction('rollout_options', 'is of no use where `start_rollout` is false: leave one of them out');
  return isStarted ? (options ?? {}) : null;
}

function contradiction(field: string, message: string): AppError {
  const errors = [{ in: 'body', field, message }];
  return new AppError({
    code: 'invalid_request',
    status: 400,
    message: `body: ${field}: ${message}`,
    details: { errors },
  });
}

/**
 * Builds the answer for a base model version. Only the operator sees where the files are, so tenants do not see a
 * serving name that is a path.
 */
function toBaseModelVersion(row: BaseModelVersionRow, reader: ReaderRole): BaseModelVersion {
  const isOperator = reader === 'operator';
  const config = row.config as { model_type?: string } | null;
  return {
    id: row.id,
    base_model_id: row.baseModelId,
    base_model_name: row.baseModel.name,
    version: row.version,
    path: isOperator && row.source === null ? row.path : null,
    source: isOperator ? toBaseSource(row) : null,
    serving_name: reader !== 'tenant' || !isAbsolute(row.servingName) ? row.servingName : null,
    state: row.state,
    architecture: config?.model_type ?? null,
    fingerprint: row.fingerprint,
    parameters: row.parameters === null ? null : Number(row.parameters),
    error: showError(row.error, isOperator ? null : reader),
    retires_at: toTimestamp(row.retiresAt),
    created_at: toTimestamp(row.createdAt),
  };
}
