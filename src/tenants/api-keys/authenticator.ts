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
import { createApiKeyRepository, type ApiKeyRow } from './api-key.repository.ts';
import { lookUpTogether } from './look-up-together.ts';

/** Resolution of `last_used_at`: it is written at most once in this time, in milliseconds. */
const LAST_USED_RESOLUTION_MS = 60_000;

/**
 * Time for which a key is cached, in milliseconds. A key that another process revokes still works for up to this long.
 */
const KEPT_MS = 1_000;
const MOST_KEPT = 10_000;

/** Delay of the next lookup of new keys after one that found no key, in milliseconds. */
const PAUSE_MS = 100;

interface KeptKey {
  readonly row: ApiKeyRow;
  readonly until: number;
  readonly changes: number;
}

interface AuthenticatorOptions {
  readonly db: Database;
  readonly keptMs?: number;
  readonly pauseMs?: number;
}

/**
 * Creates the authenticator of API keys. Usable keys are cached for a second, so that a polling client does not cost a
 * query each time. Cached keys do not wait for lookups, so a client that guesses keys delays only keys that are not
 * cached.
 */
export function createAuthenticator({ db, keptMs = KEPT_MS, pauseMs = PAUSE_MS }: AuthenticatorOptions): Authenticator {
  const keys = createApiKeyRepository(db);
  const rowsOf = async (prefixes: string[]) =>
    new Map((await keys.findByPrefixes(prefixes)).map((row) => [row.prefix, row]));
  const [lookUpKnown, lookUpNew] = [lookUpTogether(rowsOf, 0), lookUpTogether(rowsOf, pauseMs)];
  const kept = new Map<string, KeptKey>();
  let changes = 0;

  async function find(prefix: string): Promise<ApiKeyRow | null> {
    const known = kept.get(prefix);
    if (known?.changes === changes && performance.now() < known.until) return known.row;
    // These are noted before the read: a change during the read outdates its result.
    const read = { changes, until: performance.now() + keptMs };
    const row = await (known === undefined ? lookUpNew(prefix) : lookUpKnown(prefix));
    kept.delete(prefix);
    if (row === null) return null;
    const [oldest] = kept.keys();
    if (kept.size >= MOST_KEPT && oldest !== undefined) kept.delete(oldest);
    kept.set(prefix, { row, ...read });
    return row;
  }

  /** Reads the row of a usable key; null if there is none. */
  async function findUsable(key: string): Promise<ApiKeyRow | null> {
    const parsed = parseApiKey(key);
    const row = parsed === null ? null : await find(parsed.prefix);
    if (parsed === null || row === null || !secretMatches(parsed.secret, row.secretHash)) return null;
    return isUsable(row) ? row : null;
  }

  /** Records the use of the key in the background, without delaying the request. */
  function noteUse(row: ApiKeyRow, log: Pick<Logger, 'warn'>): void {
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
    // A later version may have created the key; scopes that this version does not know grant nothing.
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
