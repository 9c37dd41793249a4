import { setImmediate as nextRound, setTimeout as sleep } from 'node:timers/promises';
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

/** Shortest time between two updates of the last use of an API key in the database, in milliseconds. */
const LAST_USED_RESOLUTION_MS = 60_000;

/**
 * Time for which an API key is cached, in milliseconds. A key that was revoked through another process may still work
 * here for this long.
 */
const KEPT_MS = 1_000;
const MOST_KEPT = 10_000;

/**
 * Delay in milliseconds before unknown API keys are looked up again, after a lookup that did not find all of its keys.
 */
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
 * Creates the authenticator, which finds the callers of requests by their API keys. Usable keys are cached for a
 * second, so that a polling client does not cost a query each time. Cached keys do not wait for lookups, so a client
 * that guesses keys delays only keys that are not cached.
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

  /** Finds the row of an API key; null if the key is unknown, expired or revoked. */
  async function findUsable(key: string): Promise<ApiKeyRow | null> {
    const parsed = parseApiKey(key);
    const row = parsed === null ? null : await find(parsed.prefix);
    if (parsed === null || row === null || !secretMatches(parsed.secret, row.secretHash)) return null;
    return isUsable(row) ? row : null;
  }

  /** Stores that an API key was used. The request that used the key does not wait until this is stored. */
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

/** Largest number of names that one query looks up. */
const MOST_TOGETHER = 1_000;
/**
 * Largest number of waiting callers that get their answers in one round of the event loop. Each caller goes on with its
 * work as soon as it has its answer, and everything else in the process waits meanwhile.
 */
const ANSWERED_A_ROUND = 16;

interface Answer<T> {
  resolve(found: T | null): void;
  reject(error: unknown): void;
}

/**
 * Batches lookups by name. One query runs at a time, and callers that arrive during it share the next one, so a burst
 * of lookups costs a few queries and one connection. After a query that did not find every name, the next one waits for
 * `pauseMs`, so that a client that guesses names costs the database little.
 */
export function lookUpTogether<T>(find: (names: string[]) => Promise<ReadonlyMap<string, T>>, pauseMs: number) {
  const waiting = new Map<string, Answer<T>[]>();
  let running = false;

  /**
   * Looks the names of a batch of waiting callers up, and gives each caller its answer.
   * @returns whether all of the names were found
   */
  async function answerSome(): Promise<boolean> {
    const batch = [...waiting].slice(0, MOST_TOGETHER);
    for (const [name] of batch) waiting.delete(name);
    try {
      const found = await find(batch.map(([name]) => name));
      const asked = batch.flatMap(([name, answers]) => answers.map(({ resolve }) => ({ name, resolve })));
      for (const [index, { name, resolve }] of asked.entries()) {
        if (index > 0 && index % ANSWERED_A_ROUND === 0) await nextRound();
        resolve(found.get(name) ?? null);
      }
      return batch.every(([name]) => found.has(name));
    } catch (error) {
      for (const [, answers] of batch) for (const { reject } of answers) reject(error);
      return true;
    }
  }

  async function answerAll(): Promise<void> {
    running = true;
    while (waiting.size > 0) {
      const foundAll = await answerSome();
      if (!foundAll) await sleep(pauseMs, undefined, { ref: false });
    }
    running = false;
  }

  return (name: string): Promise<T | null> =>
    new Promise((resolve, reject) => {
      const answers = waiting.get(name) ?? [];
      answers.push({ resolve, reject });
      waiting.set(name, answers);
      if (!running) void answerAll();
    });
}
