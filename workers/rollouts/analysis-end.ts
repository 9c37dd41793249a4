import {
  PermanentError,
  TryLaterError,
  WorkerFaultError,
  type HandlerContext,
} from '../../src/platform/queue/index.ts';
import type { Prisma } from '../../src/platform/database/database.ts';
import { faultOf, isStopping, machineFaultOf } from '../faults/handler-faults.ts';
import { storedProblem } from '../faults/stored-problem.ts';
import { RefusalError } from './analysis.ts';

/**
 * Largest number of analyses of one rollout or forecast, so that one that kills its worker ends at some time. Analyses
 * that end because the worker stops or its machine fails do not count.
 */
const MAX_ANALYSES = 5;

/** Row that an analysis belongs to. */
export interface AnalyzedRow {
  fail(id: string, error: Prisma.InputJsonObject): Promise<unknown>;
  excuse(id: string, error: Prisma.InputJsonObject | null): Promise<unknown>;
}

interface BegunAnalysis {
  readonly id: string;
  readonly attempt: number;
  readonly excusedAttempts: number;
}

/**
 * Fails a rollout or a forecast whose analysis was begun too often and never ended.
 * @throws PermanentError
 */
export async function limitAnalyses(row: AnalyzedRow, what: string, begun: BegunAnalysis): Promise<void> {
  const { id, attempt, excusedAttempts } = begun;
  if (attempt - excusedAttempts <= MAX_ANALYSES) return;
  const code = 'too_many_attempts';
  const message = `the analysis of ${what} ${id} was begun ${MAX_ANALYSES} times and never ended`;
  await row.fail(id, { code, message });
  throw new PermanentError(message, { code });
}

/** Stores a permanent failure in the row, and throws the error that tells the queue whether to try again. */
export async function concludeAnalysis(
  row: AnalyzedRow,
  id: string,
  context: HandlerContext,
  error: unknown,
): Promise<never> {
  if (error instanceof RefusalError) {
    await row.fail(id, error.problem);
    throw new PermanentError(error.message, { cause: error });
  }
  if (isStopping(context.signal)) await row.excuse(id, null);
  else if (error instanceof TryLaterError) {
    await row.excuse(id, null);
    throw error;
  }
  const fault = faultOf(context.signal, error);
  const machineFault = machineFaultOf(fault);
  if (machineFault !== null) {
    await row.excuse(id, { ...storedProblem(fault) });
    throw new WorkerFaultError(machineFault.message, { cause: fault });
  }
  if (context.lastAttempt) await row.fail(id, { ...storedProblem(fault) });
  throw fault;
}
