import type { ArtifactStore } from '../../platform/artifacts/artifact-store.ts';
import type { Database } from '../../platform/database/database.ts';
import { databaseProblem, databaseReadOnly } from '../../api/plugins/problems/database-problem.ts';
import { clockProblem, type ClockReading } from '../../lib/clock.ts';
import { readClock } from '../../platform/database/clock.repository.ts';
import { AppError } from '../../platform/contract/errors.ts';
import { withTimeout } from '../../lib/timeout.ts';
import { probeDatabaseWrite } from './health.repository.ts';

/**
 * Checks by their names, each of one part of the service. A check rejects if its part is unusable, and the service is
 * then not ready.
 */
export type ReadinessChecks = Readonly<Record<string, () => Promise<unknown>>>;

export interface Readiness {
  status: 'ready' | 'not_ready';
  /** Results of the checks. `reason` describes a failure without internal details; null if the check passed. */
  checks: { name: string; ok: boolean; duration_ms: number; reason: string | null }[];
  /** Problems in spite of which the service can answer requests. */
  warnings: string[];
}

const TIMEOUT_MS = 3_000;

interface WarnLog {
  warn(fields: object, message: string): void;
}

/**
 * Time for which the result of a check that writes is cached, in milliseconds, so that polling /readyz does not wear
 * the disk.
 */
const WRITE_CHECK_MS = 5_000;

/**
 * Checks that the artifact store and the database can be written, which a full disk prevents. Results are cached for
 * five seconds.
 */
export function writeChecks(db: Database, artifacts: Pick<ArtifactStore, 'checkWritable'>): ReadinessChecks {
  return {
    artifacts_write: kept(() => artifacts.checkWritable()),
    database_write: kept(async () => {
      if (!(await probeDatabaseWrite(db))) throw databaseReadOnly();
    }),
  };
}

/** Wraps a check so that its result is cached, and callers that come during a run of the check share its result. */
function kept(check: () => Promise<unknown>): () => Promise<unknown> {
  let last: { at: number; result: Promise<unknown> } | null = null;
  return () => {
    if (last === null || performance.now() - last.at > WRITE_CHECK_MS)
      last = { at: performance.now(), result: check() };
    return last.result;
  };
}

/** Function that lists problems in spite of which the service can answer requests, without internal details. */
export type ReadinessWarnings = () => Promise<readonly string[]>;

/**
 * Creates the function that warns if another database owns the artifact store, so that nothing may be removed from the
 * store.
 */
export function storeWarnings(artifacts: Pick<ArtifactStore, 'ownership'>): ReadinessWarnings {
  return async () => {
    // If the ownership cannot be read, a failed readiness check reports the cause.
    const problem = await withTimeout(artifacts.ownership.problem(), TIMEOUT_MS, 'ownership').catch(() => null);
    return problem === null ? [] : [problem.message];
  };
}

export interface ReadinessOptions {
  db: Database;
  checks: ReadinessChecks;
  warnings: ReadinessWarnings;
  log: WarnLog;
  /** Largest tolerated difference between this process's clock and the database's, in milliseconds. */
  clockToleranceMs: number;
}

/**
 * Runs all readiness checks at once. The reason of a failed check is the error's message if the error is an AppError or
 * a known error of the database; all other errors are only logged.
 */
export async function checkReadiness(options: ReadinessOptions): Promise<Readiness> {
  const { db, checks, log, clockToleranceMs } = options;
  const clocks: ClockReading[] = [];
  const all: ReadinessChecks = { database: async () => clocks.push(await readClock(db)), ...checks };
  const found = options.warnings();
  const results = await Promise.all(
    Object.entries(all).map(async ([name, check]) => {
      const started = performance.now();
      const reason = await withTimeout(check(), TIMEOUT_MS, name).then(
        () => null,
        (error: unknown) => {
          log.warn({ err: error, check: name }, 'a readiness check failed');
          const known = error instanceof AppError ? error : databaseProblem(error);
          return known?.message ?? 'it cannot be reached: the log has the cause';
        },
      );
      return { name, ok: reason === null, duration_ms: Math.round(performance.now() - started), reason };
    }),
  );
  const warnings = [...clocks.flatMap((clock) => clockProblem(clock, clockToleranceMs) ?? []), ...(await found)];
  for (const warning of warnings) log.warn({ warning }, 'a readiness check warns');
  return { status: results.every(({ ok }) => ok) ? 'ready' : 'not_ready', checks: results, warnings };
}
