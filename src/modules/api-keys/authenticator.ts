import type { Database } from '../../lib/database.ts';
import type { Logger } from '../../lib/logger.ts';
import { isOperatorScope, isTenantScope, OPERATOR_SCOPE, type Principal } from '../../lib/principal.ts';
import { isUsable, parseApiKey, secretMatches } from './api-key-secret.ts';
import { createApiKeyRepository } from './api-key.repository.ts';

export type Authenticator = ReturnType<typeof createAuthenticator>;
type KeyRow = NonNullable<Awaited<ReturnType<ReturnType<typeof createApiKeyRepository>['findByPrefix']>>>;

/** `last_used_at` of a key is written at most once in this time. */
const LAST_USED_RESOLUTION_MS = 60_000;

/** A key is looked up at most once in this time. So one that another process has revoked works for so long. */
const KEPT_MS = 1_000;
const MOST_KEPT = 10_000;

/** Finds out whose key it is. Keys that can be used are kept for a second, so that who polls does not look them up each time. */
export function createAuthenticator({ db, keptMs = KEPT_MS }: { db: Database; keptMs?: number }) {
  const keys = createApiKeyRepository(db);
  const kept = new Map<string, { row: KeyRow; until: number }>();
  let forgotten = 0;

  async function find(prefix: string): Promise<KeyRow | null> {
    const known = kept.get(prefix);
    if (known !== undefined && performance.now() < known.until) return known.row;
    const [began, until] = [forgotten, performance.now() + keptMs];
    const row = await keys.findByPrefix(prefix);
    // What was read before a change may be old.
    if (row === null || began !== forgotten) return row;
    if (kept.size >= MOST_KEPT) kept.clear();
    kept.set(prefix, { row, until });
    return row;
  }

  /** Does not hold up the request that uses the key. */
  function noteUse(row: KeyRow, log: Pick<Logger, 'warn'>): void {
    const now = new Date();
    if (row.lastUsedAt !== null && now.getTime() - row.lastUsedAt.getTime() <= LAST_USED_RESOLUTION_MS) return;
    row.lastUsedAt = now;
    keys
      .noteUse(row.id)
      .catch((error: unknown) =>
        log.warn({ err: error, keyId: row.id }, 'the use of an API key could not be recorded'),
      );
  }

  return {
    /**
     * The principal that a key stands for; null if the key is unknown, expired or revoked. Scopes that this version does not
     * know, because a later one has created the key, allow nothing.
     */
    async authenticate(key: string, log: Pick<Logger, 'warn'>): Promise<Principal | null> {
      const parsed = parseApiKey(key);
      const row = parsed === null ? null : await find(parsed.prefix);
      if (parsed === null || row === null || !secretMatches(parsed.secret, row.secretHash)) return null;
      if (!isUsable(row)) return null;
      noteUse(row, log);
      const { id: keyId, tenantId, scopes } = row;
      if (tenantId !== null) return { kind: 'tenant', keyId, tenantId, scopes: scopes.filter(isTenantScope) };
      if (!scopes.some(isOperatorScope)) return null;
      return { kind: 'operator', keyId, readOnly: !scopes.includes(OPERATOR_SCOPE) };
    },

    /** Looks all keys up anew. Call it after a change, before the change is answered. */
    forget(): void {
      forgotten++;
      kept.clear();
    },
  };
}
