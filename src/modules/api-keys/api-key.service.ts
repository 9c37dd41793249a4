import { withTransaction, type Database, type Transaction } from '../../lib/database.ts';
import { AppError, notFound, unprocessable } from '../../lib/errors.ts';
import { newId } from '../../lib/ids.ts';
import type { Logger } from '../../lib/logger.ts';
import { toPage, type Page } from '../../lib/pagination.ts';
import { isOperatorScope, isTenantScope, OPERATOR_SCOPE, type Principal } from '../../lib/principal.ts';
import type { RecordAnswer } from '../../lib/record-answer.ts';
import { toTimestamp } from '../../lib/schemas.ts';
import { recordEvent } from '../events/index.ts';
import { generateApiKey, parseApiKey, secretMatches } from './api-key-secret.ts';
import { createApiKeyRepository, type NewApiKey } from './api-key.repository.ts';
import type { ApiKey, CreateApiKey, CreatedApiKey, ListApiKeys } from './api-key.schemas.ts';

export type ApiKeyService = ReturnType<typeof createApiKeyService>;

/** `last_used_at` of a key is written at most once in this time. */
const LAST_USED_RESOLUTION_MS = 60_000;

/** In all methods `scope` is the tenant to which the caller is confined, or null for the operator. */
export function createApiKeyService({ db }: { db: Database }) {
  const keys = createApiKeyRepository(db);

  async function insert(tx: Transaction, options: Pick<NewApiKey, 'tenantId' | 'name' | 'scopes' | 'expiresAt'>) {
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

  /** Does not hold up the request that uses the key. */
  function noteUse(id: string, log: Pick<Logger, 'warn'>): void {
    keys
      .noteUse(id)
      .catch((error: unknown) => log.warn({ err: error, keyId: id }, 'the use of an API key could not be recorded'));
  }

  return {
    /**
     * The principal that a key stands for; null if the key is unknown, expired or revoked. Scopes that this version does not
     * know, because a later one has created the key, allow nothing.
     */
    async authenticate(key: string, log: Pick<Logger, 'warn'>): Promise<Principal | null> {
      const parsed = parseApiKey(key);
      const row = parsed === null ? null : await keys.findByPrefix(parsed.prefix);
      if (parsed === null || row === null || !secretMatches(parsed.secret, row.secretHash)) return null;
      const now = Date.now();
      if (row.revokedAt !== null || (row.expiresAt !== null && row.expiresAt.getTime() <= now)) return null;
      if (row.lastUsedAt === null || now - row.lastUsedAt.getTime() > LAST_USED_RESOLUTION_MS) noteUse(row.id, log);
      const { id: keyId, tenantId, scopes } = row;
      if (tenantId !== null) return { kind: 'tenant', keyId, tenantId, scopes: scopes.filter(isTenantScope) };
      if (!scopes.some(isOperatorScope)) return null;
      return { kind: 'operator', keyId, readOnly: !scopes.includes(OPERATOR_SCOPE) };
    },

    /** @throws AppError 403, 404 `tenant`, 422 `invalid_scopes` or `already_expired` */
    async create(
      request: CreateApiKey,
      scope: string | null,
      record: RecordAnswer<CreatedApiKey>,
    ): Promise<CreatedApiKey> {
      const tenantId = ownerOf(request, scope);
      const expiresAt = expiryOf(request);
      return withTransaction(db, async (tx) => {
        const { row, key } = await insert(tx, { tenantId, name: request.name, scopes: request.scopes, expiresAt });
        const created = { ...toApiKey(row), key };
        await record(tx, created);
        return created;
      });
    },

    async list(query: ListApiKeys, scope: string | null): Promise<Page<ApiKey>> {
      if (scope !== null && query.tenant_id !== undefined && query.tenant_id !== scope) {
        throw notFound('tenant', query.tenant_id);
      }
      return toPage(await keys.page(query, scope ?? query.tenant_id), query, toApiKey);
    },

    /** Revokes a key. Revoking it again changes nothing. @throws AppError 404 */
    async revoke(id: string, scope: string | null): Promise<void> {
      await withTransaction(db, async (tx) => {
        const row = await keys.find(id, scope ?? undefined, tx);
        if (row === null) throw notFound('API key', id);
        if (!(await keys.revoke(id, tx))) return;
        await recordEvent(tx, {
          tenantId: row.tenantId,
          type: 'api_key.revoked',
          subjectId: id,
          data: { name: row.name },
        });
      });
    },

    /**
     * Creates the first operator key and returns it; null if there is an operator key already.
     *
     * @param keep is given the key before it counts; if it throws, there is no key
     */
    ensureOperatorKey: (keep: (key: string) => Promise<void> = async () => {}): Promise<string | null> =>
      withTransaction(db, async (tx) => {
        await keys.lockOperatorKeys(tx);
        if ((await keys.countOperatorKeys(tx)) > 0) return null;
        const options = { tenantId: null, name: 'first operator key', scopes: [OPERATOR_SCOPE], expiresAt: null };
        const { key } = await insert(tx, options);
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
  if (!wantsOperator && tenantId === null) {
    throw unprocessable('invalid_scopes', 'tenant_id is missing: a key with tenant scopes belongs to a tenant');
  }
  return tenantId;
}

function expiryOf(request: CreateApiKey): Date | null {
  if (request.expires_at === undefined || request.expires_at === null) return null;
  const expiresAt = new Date(request.expires_at);
  if (expiresAt.getTime() <= Date.now()) {
    throw unprocessable('already_expired', `expires_at is ${request.expires_at}, expected a time in the future`);
  }
  return expiresAt;
}

type Row = NewApiKey & { createdAt: Date; lastUsedAt: Date | null; revokedAt: Date | null };

function toApiKey(row: Row): ApiKey {
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
  };
}
