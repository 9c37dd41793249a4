import { withTransaction, type Database, type Transaction } from '../../platform/database/database.ts';
import { AppError, conflict, notFound, unprocessable } from '../../platform/contract/errors.ts';
import { newId } from '../../platform/contract/ids.ts';
import { toPage, type Page } from '../../platform/contract/pagination.ts';
import {
  isAdmitted,
  isOperatorScope,
  OPERATOR_SCOPE,
  SERVING_SCOPE,
  type Principal,
} from '../../platform/contract/principal.ts';
import type { RecordAnswer } from '../../platform/contract/record-answer.ts';
import { toTimestamp } from '../../platform/contract/schemas.ts';
import type { QuotaLimits } from '../../platform/config/quotas.ts';
import type { RecordChange } from '../../platform/contract/record-change.ts';
import { recordEvent } from '../../delivery/events/index.ts';
import { createQuotaCheck } from '../quotas/index.ts';
import { generateApiKey, isUsable } from './api-key-secret.ts';
import { createApiKeyRepository, type ApiKeyRow, type NewApiKey } from './api-key.repository.ts';
import { recordCommand } from './record-command.ts';
import {
  DEFAULT_KEY_OVERLAP_MS,
  type ApiKey,
  type Caller,
  type CreateApiKey,
  type CreatedApiKey,
  type ListApiKeys,
  type RotateApiKey,
} from './api-key.schemas.ts';

interface ApiKeyServiceDependencies {
  readonly db: Database;
  /** Default quotas of tenants, among them the largest number of API keys. */
  readonly quotas: QuotaLimits;
}

/**
 * Service for API keys. In all methods `scope` is the tenant to which the caller is confined, or null for the operator.
 */
export interface ApiKeyService {
  /**
   * Creates an API key.
   * @throws AppError 403 `forbidden` or `quota_exceeded`, 404 `tenant`, 422 `invalid_scopes` or `already_expired`
   */
  create(request: CreateApiKey, scope: string | null, record: RecordAnswer<CreatedApiKey>): Promise<CreatedApiKey>;
  /**
   * Lists API keys.
   * @throws AppError 404 if a tenant asks for the keys of another tenant
   */
  list(query: ListApiKeys, scope: string | null): Promise<Page<ApiKey>>;
  /**
   * Describes the API key of a request and the tenant or operator that it belongs to.
   * @throws AppError 404 if the key was removed in the meantime
   */
  caller(principal: Principal): Promise<Caller>;
  /**
   * Creates an API key that replaces another one. The old key still works for the overlap, and then expires. The new
   * key needs no room in the tenant's quota, because the old key and the new one count as one.
   *
   * @throws AppError 404, 409 `key_ended`, `already_rotated` or `rotation_in_progress`, 422 `already_expired`
   */
  rotate(
    id: string,
    request: RotateApiKey,
    scope: string | null,
    record: RecordAnswer<CreatedApiKey>,
  ): Promise<CreatedApiKey>;
  /** Revokes a key. Revoking it again changes nothing. @throws AppError 404 */
  revoke(id: string, scope: string | null, recordChange: RecordChange): Promise<void>;
  /**
   * Creates the first operator key and returns it; null if there is an operator key already.
   *
   * @param keep receives the key before it becomes valid; if it throws, no key is created
   */
  ensureOperatorKey(keep?: (key: string) => Promise<void>): Promise<string | null>;
}

export function createApiKeyService({ db, quotas }: ApiKeyServiceDependencies): ApiKeyService {
  const keys = createApiKeyRepository(db);
  const check = createQuotaCheck({ db, defaults: quotas });

  async function insert(tx: Transaction, options: Omit<NewApiKey, 'id' | 'prefix' | 'secretHash'>) {
    const { key, prefix, secretHash } = generateApiKey();
    const row = await keys.insert({ id: newId('apiKey'), prefix, secretHash, ...options }, tx);
    await recordEvent(tx, {
      tenantId: row.tenantId,
      type: 'api_key.created',
      subjectId: row.id,
      data: { name: row.name, scopes: row.scopes },
    });
    return { row, key };
  }

  return {
    async create(request, scope, record) {
      const tenantId = ownerOf(request, scope);
      const expiresAt = expiryOf(request.expires_at ?? null);
      return withTransaction(db, async (tx) => {
        if (tenantId !== null) await check.requireKeyRoom(tx, tenantId);
        const { row, key } = await insert(tx, { tenantId, name: request.name, scopes: request.scopes, expiresAt });
        const created = { ...toApiKey(row), key };
        await record(tx, created);
        return created;
      });
    },

    async list(query, scope) {
      if (scope !== null && query.tenant_id !== undefined && query.tenant_id !== scope) {
        throw notFound('tenant', query.tenant_id);
      }
      return toPage(await keys.page(query, scope ?? query.tenant_id), query, toApiKey);
    },

    async caller(principal) {
      const tenantId = principal.kind === 'tenant' ? principal.tenantId : null;
      const row = await keys.findWithOwner(principal.keyId, tenantId);
      if (row === null) throw notFound('API key', principal.keyId);
      const { id, name, scopes, created_at, expires_at } = toApiKey(row);
      return {
        key_id: id,
        name,
        is_operator: tenantId === null,
        read_only: !isAdmitted(principal, tenantId === null ? OPERATOR_SCOPE : 'tenant:write', false),
        tenant_id: tenantId,
        tenant_name: row.tenant?.name ?? null,
        scopes,
        created_at,
        expires_at,
      };
    },

    rotate: (id, request, scope, record) =>
      withTransaction(db, async (tx) => {
        const old = await keys.lockWithRotation(id, scope ?? undefined, tx);
        if (old === null) throw notFound('API key', id);
        requireRotatable(old);
        const { tenantId, name, scopes } = old;
        const expiresAt = request.expires_at === undefined ? sameLifetime(old) : expiryOf(request.expires_at);
        const { row, key } = await insert(tx, { tenantId, name, scopes, expiresAt, rotatedFromId: id });
        const end = new Date(Date.now() + (request.overlap_ms ?? DEFAULT_KEY_OVERLAP_MS));
        const expired = await keys.setExpiry(
          id,
          old.expiresAt !== null && old.expiresAt < end ? old.expiresAt : end,
          tx,
        );
        const data = { name, successor_id: row.id, expires_at: toTimestamp(expired.expiresAt) };
        await recordEvent(tx, { tenantId, type: 'api_key.rotated', subjectId: id, data });
        const created = { ...toApiKey(row), key };
        await record(tx, created, toApiKey(old));
        return created;
      }),

    async revoke(id, scope, recordChange) {
      await withTransaction(db, async (tx) => {
        const row = await keys.find(id, scope ?? undefined, tx);
        if (row === null) throw notFound('API key', id);
        const revoked = await keys.revoke(id, tx);
        if (revoked === null) return;
        const [before, after] = [toApiKey(row), toApiKey(revoked)];
        await recordChange(tx, { tenantId: row.tenantId, subjectId: id, before, after });
        await recordEvent(tx, {
          tenantId: row.tenantId,
          type: 'api_key.revoked',
          subjectId: id,
          data: { name: row.name },
        });
      });
    },

    ensureOperatorKey: (keep = async () => {}) =>
      withTransaction(db, async (tx) => {
        await keys.lockOperatorKeys(tx);
        if ((await keys.countOperatorKeys(tx)) > 0) return null;
        const options = { tenantId: null, name: 'first operator key', scopes: [OPERATOR_SCOPE], expiresAt: null };
        const { row, key } = await insert(tx, options);
        await recordCommand('createApiKey')(tx, { ...toApiKey(row), key });
        await keep(key);
        return key;
      }),
  };
}

function ownerOf(request: CreateApiKey, scope: string | null): string | null {
  const wantsOperator = request.scopes.some(isOperatorScope);
  if (scope !== null) {
    if (wantsOperator || request.tenant_id === null) {
      throw new AppError({ code: 'forbidden', status: 403, message: 'only an operator can create operator keys' });
    }
    if (request.tenant_id !== undefined && request.tenant_id !== scope) throw notFound('tenant', request.tenant_id);
    return scope;
  }
  const tenantId = request.tenant_id ?? null;
  if (wantsOperator && (tenantId !== null || request.scopes.length > 1)) {
    throw unprocessable(
      'invalid_scopes',
      'the scopes operator and operator:read cannot be combined with other scopes or with a tenant_id',
    );
  }
  if (!wantsOperator && tenantId === null) requireServingOfAll(request);
  return tenantId;
}

/**
 * Checks a request for an API key that belongs to no tenant. Such a key may only have the scope `serving:read`, by
 * which it may read which adapter versions of all tenants are to be served. The request has to set `tenant_id` to null,
 * because a caller who leaves `tenant_id` out means a key of one tenant.
 * @throws AppError 422
 */
function requireServingOfAll({ scopes, tenant_id: tenantId }: CreateApiKey): void {
  const servingOnly = scopes.every((scope) => scope === SERVING_SCOPE);
  if (servingOnly && tenantId === null) return;
  const advice = servingOnly ? '; null is for a key that may read what is to be served of all tenants' : '';
  throw unprocessable('invalid_scopes', `tenant_id is missing: a key with tenant scopes belongs to a tenant${advice}`);
}

function expiryOf(time: string | null): Date | null {
  if (time === null) return null;
  const expiresAt = new Date(time);
  if (expiresAt.getTime() <= Date.now()) {
    throw unprocessable('already_expired', `expires_at is ${time}, expected a time in the future`);
  }
  return expiresAt;
}

/**
 * Computes when an API key that replaces another one expires. The new key gets the same lifetime as the old key had
 * from its creation to its expiry. Null if the old key never expires.
 */
function sameLifetime({ createdAt, expiresAt }: { createdAt: Date; expiresAt: Date | null }): Date | null {
  return expiresAt === null ? null : new Date(Date.now() + expiresAt.getTime() - createdAt.getTime());
}

/**
 * Requires that an API key can be replaced by a new one: it is usable, has not been replaced yet, and the key that it
 * has replaced no longer works.
 * @throws AppError 409
 */
function requireRotatable(key: ApiKeyRow & { rotatedFrom: ApiKeyRow | null; successor: ApiKeyRow | null }): void {
  if (key.successor !== null) {
    const message = `API key ${key.id} has been rotated already, to ${key.successor.id}: rotate that one`;
    throw conflict('already_rotated', message, { successor_id: key.successor.id });
  }
  if (!isUsable(key)) {
    const message = `API key ${key.id} has expired or was revoked, so it cannot be rotated: create a new one`;
    throw conflict('key_ended', message);
  }
  if (key.rotatedFrom !== null && isUsable(key.rotatedFrom)) {
    const { id, expiresAt } = key.rotatedFrom;
    throw conflict(
      'rotation_in_progress',
      `API key ${key.id} has taken the place of ${id}, which can be used until ${toTimestamp(expiresAt)}: ` +
        `wait until then, or ` +
        'revoke that one',
      { predecessor_id: id, expires_at: toTimestamp(expiresAt) },
    );
  }
}

function toApiKey(row: ApiKeyRow): ApiKey {
  return {
    id: row.id,
    tenant_id: row.tenantId,
    name: row.name,
    prefix: row.prefix,
    scopes: row.scopes as ApiKey['scopes'],
    created_at: toTimestamp(row.createdAt),
    last_used_at: toTimestamp(row.lastUsedAt),
    expires_at: toTimestamp(row.expiresAt),
    revoked_at: toTimestamp(row.revokedAt),
    rotated_from_id: row.rotatedFromId,
  };
}
