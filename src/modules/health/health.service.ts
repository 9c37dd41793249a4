import type { Database } from '../../lib/database.ts';
import { withTimeout } from '../../lib/timeout.ts';
import { pingDatabase } from './health.repository.ts';

/** Checks by name. Each rejects if its part of the service cannot be used. */
export type ReadinessChecks = Readonly<Record<string, () => Promise<unknown>>>;

export interface Readiness {
  status: 'ready' | 'not_ready';
  checks: { name: string; ok: boolean; duration_ms: number }[];
}

const TIMEOUT_MS = 3_000;

interface WarnLog {
  warn(fields: object, message: string): void;
}

/** Runs all checks at once. The reason for a failure is logged and not shown to the client. */
export async function checkReadiness(db: Database, checks: ReadinessChecks, log: WarnLog): Promise<Readiness> {
  const all: ReadinessChecks = { database: () => pingDatabase(db), ...checks };
  const results = await Promise.all(
    Object.entries(all).map(async ([name, check]) => {
      const started = performance.now();
      const ok = await withTimeout(check(), TIMEOUT_MS, name).then(
        () => true,
        (error: unknown) => {
          log.warn({ err: error, check: name }, 'a readiness check failed');
          return false;
        },
      );
      return { name, ok, duration_ms: Math.round(performance.now() - started) };
    }),
  );
  return { status: results.every(({ ok }) => ok) ? 'ready' : 'not_ready', checks: results };
}
