import type { Database } from '../../lib/database.ts';
import { AppError } from '../../lib/errors.ts';
import { withTimeout } from '../../lib/timeout.ts';
import { pingDatabase } from './health.repository.ts';

/** Checks by name. Each rejects if its part of the service cannot be used. */
export type ReadinessChecks = Readonly<Record<string, () => Promise<unknown>>>;

export interface Readiness {
  status: 'ready' | 'not_ready';
  /** `reason` says what is wrong and reveals nothing internal; null if nothing is. */
  checks: { name: string; ok: boolean; duration_ms: number; reason: string | null }[];
}

const TIMEOUT_MS = 3_000;

interface WarnLog {
  warn(fields: object, message: string): void;
}

/** Runs all checks at once. The client is shown the message of an AppError; of other errors only the log has the reason. */
export async function checkReadiness(db: Database, checks: ReadinessChecks, log: WarnLog): Promise<Readiness> {
  const all: ReadinessChecks = { database: () => pingDatabase(db), ...checks };
  const results = await Promise.all(
    Object.entries(all).map(async ([name, check]) => {
      const started = performance.now();
      const reason = await withTimeout(check(), TIMEOUT_MS, name).then(
        () => null,
        (error: unknown) => {
          log.warn({ err: error, check: name }, 'a readiness check failed');
          return error instanceof AppError ? error.message : 'it cannot be reached: the log has the cause';
        },
      );
      return { name, ok: reason === null, duration_ms: Math.round(performance.now() - started), reason };
    }),
  );
  return { status: results.every(({ ok }) => ok) ? 'ready' : 'not_ready', checks: results };
}
