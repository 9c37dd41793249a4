import { SETTINGS } from '../../platform/config/settings.ts';
import {
  isUniqueViolation,
  withTransaction,
  type Database,
  type Transaction,
} from '../../platform/database/database.ts';
import { AppError, conflict, notFound, unprocessable } from '../../platform/contract/errors.ts';
import { newId } from '../../platform/contract/ids.ts';
import type { AddressPolicy } from '../../platform/outgoing/address-policy.ts';
import { urlProblem } from '../../platform/outgoing/target.ts';
import { toPage, type Page, type PageQuery } from '../../platform/contract/pagination.ts';
import type { RecordAnswer } from '../../platform/contract/record-answer.ts';
import type { RecordChange } from '../../platform/contract/record-change.ts';
import type { SecretBox } from '../../platform/config/secret-box.ts';
import { recordEvent } from '../events/index.ts';
import { toReplica, toReplicaAdapter } from './replica.mapper.ts';
import { replicaRepository as repository } from './replica.repository.ts';
import {
  REPLICA_DEFAULTS,
  type CreateReplica,
  type ListReplicaAdapters,
  type Replica,
  type ReplicaAdapter,
  type UpdateReplica,
} from './replica.schemas.ts';

interface ReplicaDependencies {
  readonly db: Database;
  readonly policy: AddressPolicy;
  /** Encrypts the API keys of engines before they are stored. Null if the service has no key for the encryption. */
  readonly box: SecretBox | null;
}

/** Creates the service for replicas of serving engines. All replicas belong to the operator. */
export function createReplicaService({ db, policy, box }: ReplicaDependencies) {
  /**
   * Converts the members of a request to database columns, after checking them.
   * @throws AppError 404 if the request names an unknown base model version or tenant; 422 `url_not_allowed`, 503
   * `secret_key_missing`
   */
  async function columnsOf(tx: Transaction, id: string, request: UpdateReplica) {
    const { url, base_model_version_id: baseModelVersionId, tenant_ids: tenantIds = [] } = request;
    const problem = url === undefined ? null : urlProblem(url, policy, SETTINGS.replicaAllowedRanges.variable);
    if (problem !== null) throw unprocessable('url_not_allowed', `url cannot be used: ${problem}`);
    if (baseModelVersionId !== undefined && !(await repository.hasBaseModelVersion(tx, baseModelVersionId))) {
      throw notFound('base model version', baseModelVersionId);
    }
    const missing = await repository.missingTenant(tx, tenantIds);
    if (missing !== undefined) throw notFound('tenant', missing);
    const { api_key: apiKey } = request;
    return given({
      name: request.name,
      url,
      baseModelVersionId,
      pathPrefix: request.path_prefix,
      sealedApiKey: typeof apiKey === 'string' ? requireBox(box).seal(apiKey, id) : apiKey,
      maxAdapters: request.max_adapters,
      aliases: request.aliases,
      check: request.check,
      tenantIds: request.tenant_ids,
      labels: request.labels,
      unloadAfterMs: request.unload_after_ms,
    });
  }

  async function change<T>(id: string, work: (tx: Transaction, before: Replica) => Promise<T>): Promise<T> {
    return withTransaction(db, async (tx) => {
      const row = await repository.lock(tx, id);
      if (row === null) throw notFound('replica', id);
      return work(tx, toReplica(row));
    }).catch(refuseDuplicate);
  }

  return {
    /**
     * Creates a replica.
     * @throws AppError 404 if the request names an unknown base model version or tenant; 409 `replica_exists`, 422
     * `url_not_allowed`, 503 `secret_key_missing`
     */
    create: (request: CreateReplica, record: RecordAnswer<Replica>): Promise<Replica> =>
      withTransaction(db, async (tx) => {
        const id = newId('replica');
        const { engine, name, url, base_model_version_id: baseModelVersionId, path_prefix: pathPrefix } = request;
        const required = { id, engine, name, url, baseModelVersionId, pathPrefix };
        const row = await repository.create(tx, {
          ...REPLICA_DEFAULTS,
          ...required,
          ...(await columnsOf(tx, id, request)),
        });
        const data = { name, base_model_version_id: baseModelVersionId };
        await recordEvent(tx, { tenantId: null, type: 'replica.created', subjectId: id, data });
        const replica = toReplica(row);
        await record(tx, replica);
        return replica;
      }).catch(refuseDuplicate),

    async list(query: PageQuery): Promise<Page<Replica>> {
      return toPage(await repository.page(db, query), query, toReplica);
    },

    /** Reads a replica. @throws AppError 404 if there is none with this identifier */
    async get(id: string): Promise<Replica> {
      const row = await repository.find(db, id);
      if (row === null) throw notFound('replica', id);
      return toReplica(row);
    },

    /**
     * Changes a replica.
     * @throws AppError 404 if there is no such replica, or if the request names an unknown base model version or
     * tenant; 409 `replica_exists`, 422 `url_not_allowed`, 503 `secret_key_missing`
     */
    update: (id: string, request: UpdateReplica, recordChange: RecordChange): Promise<Replica> =>
      change(id, async (tx, before) => {
        const after = toReplica(await repository.update(tx, id, await columnsOf(tx, id, request)));
        const data = { changed: Object.keys(request) };
        await recordEvent(tx, { tenantId: null, type: 'replica.updated', subjectId: id, data });
        await recordChange(tx, { tenantId: null, subjectId: id, before, after });
        return after;
      }),

    /**
     * Removes a replica from the service. Its engine keeps the adapters that it has loaded.
     * @throws AppError 404 if there is no such replica
     */
    delete: (id: string, recordChange: RecordChange): Promise<void> =>
      change(id, async (tx, before) => {
        await repository.delete(tx, id);
        await recordEvent(tx, { tenantId: null, type: 'replica.deleted', subjectId: id, data: {} });
        await recordChange(tx, { tenantId: null, subjectId: id, before, after: null });
      }),

    /** Lists the adapters of a replica with their states. @throws AppError 404 if there is no such replica */
    async adapters(id: string, query: ListReplicaAdapters): Promise<Page<ReplicaAdapter>> {
      if ((await repository.find(db, id)) === null) throw notFound('replica', id);
      return toPage(await repository.adapters(db, id, query), query, toReplicaAdapter);
    },
  };
}

/** Copies an object without the members that are undefined. */
function given<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

function requireBox(box: SecretBox | null): SecretBox {
  if (box !== null) return box;
  throw new AppError({
    code: 'secret_key_missing',
    status: 503,
    message:
      'API keys of replicas are stored encrypted, and the service has no key for that. ' +
      `The operator has to set ${SETTINGS.secretKeys.variable} to the output of \`openssl rand -base64 32\``,
  });
}

function refuseDuplicate(error: unknown): never {
  if (!isUniqueViolation(error)) throw error;
  throw conflict('replica_exists', 'another replica has this name or this url: choose another, or change that one');
}
