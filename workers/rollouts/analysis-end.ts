import { attemptEnd, PermanentError, tooManyStarts, type AttemptContext } from '../../src/platform/queue/index.ts';
import type { Prisma } from '../../src/platform/database/database.ts';
import { classifyFault } from '../faults/handler-faults.ts';
import { storedProblem } from '../faults/stored-problem.ts';
import { RefusalError } from './analysis.ts';

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
export async function limitAnalyses(
  row: AnalyzedRow,
  what: 'rollout' | 'forecast',
  { id, attempt, excusedAttempts }: BegunAnalysis,
): Promise<void> {
  const name = what === 'rollout' ? 'rollout.plan' : 'rollout.forecast';
  const tooMany = tooManyStarts(name, attempt - excusedAttempts, `the analysis of ${what} ${id} was begun`);
  if (tooMany === null) return;
  await row.fail(id, { code: tooMany.code, message: tooMany.message });
  throw tooMany;
}

/** Stores a permanent failure in the row, and throws the error that tells the queue whether to try again. */
export async function concludeAnalysis(
  row: AnalyzedRow,
  id: string,
  context: AttemptContext,
  error: unknown,
): Promise<never> {
  if (error instanceof RefusalError) {
    await row.fail(id, error.problem);
    throw new PermanentError(error.message, { cause: error });
  }
  // A failure that the training process calls permanent is still retried until the last attempt.
  const attempt = attemptEnd(error, context, classifyFault);
  const { end, cause } = attempt;
  if (end === 'stopped' || end === 'put-off') await row.excuse(id, null);
  if (end === 'worker-fault') await row.excuse(id, { ...storedProblem(cause) });
  if (end === 'fail') await row.fail(id, { ...storedProblem(cause) });
  throw attempt.error;
}
