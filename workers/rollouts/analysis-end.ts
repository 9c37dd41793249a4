import { attemptEnd, PermanentError, type AttemptContext } from '../../src/platform/queue/index.ts';
import type { Prisma } from '../../src/platform/database/database.ts';
import { classifyFault } from '../faults/handler-faults.ts';
import { storedProblem } from '../faults/stored-problem.ts';
import { RefusalError } from './analysis.ts';

/** Functions that store the end of a failed attempt in the row of the rollout or forecast that is analyzed. */
export interface AnalyzedRow {
  fail(id: string, error: Prisma.InputJsonObject): Promise<unknown>;
  excuse(id: string, error: Prisma.InputJsonObject | null): Promise<unknown>;
}

/**
 * Ends a failed attempt to analyze a rollout or forecast. Stores a permanent failure in its row, and throws the error
 * that tells the queue whether to try again.
 */
export async function concludeAnalysis(
  row: AnalyzedRow,
  id: string,
  context: AttemptContext,
  error: unknown,
): Promise<never> {
  if (error instanceof PermanentError) {
    const { code, message } = error;
    await row.fail(id, error instanceof RefusalError ? error.problem : { code, message });
    throw error;
  }
  // A failure that the training process calls permanent is still retried until the last attempt.
  const attempt = attemptEnd(error, context, classifyFault);
  const { end, cause } = attempt;
  if (end === 'stopped' || end === 'put-off') await row.excuse(id, null);
  if (end === 'worker-fault') await row.excuse(id, { ...storedProblem(cause) });
  if (end === 'fail') await row.fail(id, { ...storedProblem(cause) });
  throw attempt.error;
}
