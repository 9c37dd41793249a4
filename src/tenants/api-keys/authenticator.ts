import type { Authenticator } from '../../api/plugins/auth.ts';
import type { Database } from '../../platform/database/database.ts';
import type { Logger } from '../../lib/logger.ts';
import {
  isOperatorScope,
  isTenantScope,
  OPERATOR_SCOPE,
  SERVING_SCOPE,
  type Principal,
} from '../../platform/contract/principal.ts';
import { isUsable, parseApiKey, secretMatches } from './api-key-secret.ts';
import { createApiKeyRepository } from './api-key.repository.ts';
import { lookUpTogether } from './look-up-together.ts';

type KeyRow = Awaited<ReturnType<ReturnType<typeof createApiKeyRepository>['findByPrefixes']>>[number];

/** `last_used_at` of a key is written at most once in this time. */
const LAST_USED_RESOLUTION_MS = 60_000;

/** A key is looked up at most once in this time. So one that another process has revoked works for so long. */
const KEPT_MS = 1_000;
const MOST_KEPT = 10_000;

/** After a key that does not exist, keys that were not seen before are not looked up for this time. */
const PAUSE_MS = 100;

interface KeptKey {
  readonly row: KeyRow;
  readonly until: number;
  readonly changes: number;
}

interface AuthenticatorOptions {
  readonly db: Database;
  readonly keptMs?: number;
  readonly pauseMs?: number;
}

/**
 * Finds out whose key it is. Keys that can be used are kept for a second, so that who polls does not look them up each time. Keys
 * that were seen before do not wait for others; so whoever guesses keys holds up nobody but those who come for the first time.
 */
export function createAuthenticator({ db, keptMs = KEPT_MS, pauseMs = PAUSE_MS }: AuthenticatorOptions): Authenticator {
  const keys = createApiKeyRepository(db);
  const rowsOf = async (prefixes: string[]) =>
    new Map((await keys.findByPrefixes(prefixes)).map((row) => [row.prefix, row]));
  const [lookUpKnown, lookUpNew] = [lookUpTogether(rowsOf, 0), lookUpTogether(rowsOf, pauseMs)];
  const kept = new Map<string, KeptKey>();
  let changes = 0;

  async function find(prefix: string): Promise<KeyRow | null> {
    const known = kept.get(prefix);
    if (known?.changes === changes && performance.now() < known.until) return known.row;
    // What is read before a change may be old after it.
    const read = { changes, until: performance.now() + keptMs };
    const row = await (known === undefined ? lookUpNew(prefix) : lookUpKnown(prefix));
    kept.delete(prefix);
    if (row === null) return null;
    const [oldest] = kept.keys();
    if (kept.size >= MOST_KEPT && oldest !== undefined) kept.delete(oldest);
    kept.set(prefix, { row, ...read });
    return row;
  }

  /** The row of a key that can be used; null if there is none. */
  async function findUsable(key: string): Promise<KeyRow | null> {
    const parsed = parseApiKey(key);
    const row = parsed === null ? null : await find(parsed.prefix);
    if (parsed === null || row === null || !secretMatches(parsed.secret, row.secretHash)) return null;
    return isUsable(row) ? row : null;
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
    // Scopes that this version does not know, because a later one has created the key, allow nothing.
    async authenticate(key: string, log: Pick<Logger, 'warn'>): Promise<Principal | null> {
      const row = await findUsable(key);
      if (row === null) return null;
      noteUse(row, log);
      const { id: keyId, tenantId, scopes } = row;
      if (tenantId !== null) return { kind: 'tenant', keyId, tenantId, scopes: scopes.filter(isTenantScope) };
      const servingOnly = !scopes.some(isOperatorScope);
      if (servingOnly && !scopes.includes(SERVING_SCOPE)) return null;
      return { kind: 'operator', keyId, readOnly: !scopes.includes(OPERATOR_SCOPE), servingOnly };
    },

    isUsable: async (key: string): Promise<boolean> => (await findUsable(key)) !== null,

    forget(): void {
      changes++;
    },
  };
}
