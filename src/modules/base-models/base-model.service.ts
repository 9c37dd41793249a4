import { isAbsolute } from 'node:path';
import type { JobProducer } from '../../jobs/producer.ts';
import { resolveAllowedFolder } from '../../lib/allowed-path.ts';
import { withTransaction, type Database } from '../../lib/database.ts';
import { notFound } from '../../lib/errors.ts';
import { newId } from '../../lib/ids.ts';
import { showError } from '../../lib/shown-error.ts';
import { toPage, type Page, type PageQuery } from '../../lib/pagination.ts';
import { unrecorded, type RecordAnswer } from '../../lib/record-answer.ts';
import type { RecordChange } from '../../lib/record-change.ts';
import { toTimestamp } from '../../lib/schemas.ts';
import { recordEvent } from '../events/index.ts';
import { withoutAddress } from '../jobs/index.ts';
import { createRollout } from '../rollouts/index.ts';
import { createBaseModelRepository, type BaseModelVersionRow } from './base-model.repository.ts';
import type {
  BaseModel,
  BaseModelVersion,
  CreateBaseModel,
  CreateBaseModelVersion,
  CreatedBaseModelVersion,
  UpdateBaseModel,
} from './base-model.schemas.ts';
import { readModelFolder } from './model-folder.ts';

export interface BaseModelServiceOptions {
  db: Database;
  producer: JobProducer;
  allowedRoots: readonly string[];
}

/**
 * In all methods `scope` is the tenant to which the caller is confined, or null for the operator, who alone sees paths.
 */
export function createBaseModelService({ db, producer, allowedRoots }: BaseModelServiceOptions) {
  const models = createBaseModelRepository(db);

  async function findModel(idOrName: string) {
    const model = await models.findModel(idOrName);
    if (model === null) throw notFound('base model', idOrName);
    return model;
  }

  return {
    /** @throws AppError 409 `base_model_exists` */
    create: ({ name, policy }: CreateBaseModel, record: RecordAnswer<BaseModel>): Promise<BaseModel> =>
      withTransaction(db, async (tx) => {
        const row = await models.insertModel({ id: newId('baseModel'), name, policy }, tx);
        await recordEvent(tx, { tenantId: null, type: 'base_model.created', subjectId: row.id, data: { name } });
        const model = toBaseModel(row);
        await record(tx, model);
        return model;
      }),

    /** Sets the policy of later rollouts that name none. Those that were accepted keep theirs. @throws AppError 404 */
    async update(
      idOrName: string,
      { policy }: UpdateBaseModel,
      recordChange: RecordChange = unrecorded,
    ): Promise<BaseModel> {
      const { id } = await findModel(idOrName);
      return withTransaction(db, async (tx) => {
        await models.lockModel(id, tx);
        const before = toBaseModel((await models.findModel(id, tx))!);
        const after = toBaseModel(await models.setPolicy(id, policy, tx));
        const change = { before: { policy: before.policy }, after: { policy } };
        await recordEvent(tx, { tenantId: null, type: 'base_model.updated', subjectId: id, data: { policy } });
        await recordChange(tx, { tenantId: null, subjectId: id, ...change });
        return after;
      });
    },

    async list(query: PageQuery, scope: string | null): Promise<Page<BaseModel>> {
      return toPage(await models.pageModels(query), query, (row) => toBaseModel(row, scope));
    },

    /** @throws AppError 404 */
    get: async (idOrName: string, scope: string | null): Promise<BaseModel> =>
      toBaseModel(await findModel(idOrName), scope),

    /**
     * Registers a version. A model's first version has no fleet to carry over; a later one starts a rollout, unless the
     * request says `rollout: false`. Version, rollout, events and outbox entries are committed together.
     *
     * @throws AppError 404, 409 `base_model_version_exists`, 422 `path_not_allowed`, `path_not_found`, `not_a_folder`
     *   or `invalid_base_model`
     */
    async addVersion(
      idOrName: string,
      request: CreateBaseModelVersion,
      record: RecordAnswer<CreatedBaseModelVersion>,
    ): Promise<CreatedBaseModelVersion> {
      const model = await findModel(idOrName);
      const folder = await resolveAllowedFolder(request.path, allowedRoots);
      const config = await readModelFolder(folder);
      const { answer, entries } = await withTransaction(db, async (tx) => {
        await models.lockModel(model.id, tx);
        const first = (await models.countVersions(model.id, tx)) === 0;
        const version = await models.insertVersion(
          {
            id: newId('baseModelVersion'),
            baseModelId: model.id,
            version: request.version,
            path: folder,
            servingName: request.serving_name ?? request.path,
            config,
          },
          tx,
        );
        await recordEvent(tx, {
          tenantId: null,
          type: 'base_model_version.registered',
          subjectId: version.id,
          data: { base_model_name: model.name, version: version.version },
        });
        const started =
          first || request.rollout === false
            ? null
            : await createRollout(tx, { baseModelVersionId: version.id, options: request.rollout ?? {} });
        const answer = { base_model_version: toBaseModelVersion(version, null), rollout: started?.rollout ?? null };
        await record(tx, answer);
        return { answer, entries: started?.entries ?? [] };
      });
      await producer.enqueueAfterCommit(entries);
      return answer;
    },

    async listVersions(idOrName: string, query: PageQuery, scope: string | null): Promise<Page<BaseModelVersion>> {
      const model = await findModel(idOrName);
      return toPage(await models.pageVersions(model.id, query), query, (row) => toBaseModelVersion(row, scope));
    },

    /** @throws AppError 404 */
    async getVersion(id: string, scope: string | null): Promise<BaseModelVersion> {
      const row = await models.findVersion(id);
      if (row === null) throw notFound('base model version', id);
      return toBaseModelVersion(row, scope);
    },
  };
}

function toBaseModel(
  row: { id: string; name: string; policy: unknown; createdAt: Date },
  scope: string | null = null,
): BaseModel {
  const policy = row.policy as BaseModel['policy'];
  return {
    id: row.id,
    name: row.name,
    policy: policy === null || scope === null ? policy : withoutAddress(policy),
    created_at: toTimestamp(row.createdAt),
  };
}

function toBaseModelVersion(row: BaseModelVersionRow, scope: string | null): BaseModelVersion {
  const config = row.config as { model_type?: string } | null;
  return {
    id: row.id,
    base_model_id: row.baseModelId,
    base_model_name: row.baseModel.name,
    version: row.version,
    path: scope === null ? row.path : null,
    serving_name: scope === null || !isAbsolute(row.servingName) ? row.servingName : null,
    state: row.state,
    architecture: config?.model_type ?? null,
    fingerprint: row.fingerprint,
    parameters: row.parameters === null ? null : Number(row.parameters),
    error: showError(row.error, scope),
    created_at: toTimestamp(row.createdAt),
  };
}
