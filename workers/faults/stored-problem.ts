import { storable } from '../../core/options/quote.ts';
import { PermanentError } from '../../src/platform/queue/index.ts';
import { AppError } from '../../src/platform/contract/errors.ts';
import {
  INTERNAL_ERROR,
  INTERNAL_MESSAGE,
  namesInternals,
  type StoredError,
} from '../../src/platform/contract/shown-error.ts';
import { INSUFFICIENT_MEMORY } from '../adaptations/memory-check.ts';
import { machineFaultOf, problemOf, WRITTEN_CODES } from './handler-faults.ts';
import { OUT_OF_MEMORY } from '../training/out-of-memory.ts';
import { TrainingFailedError } from '../training/training-errors.ts';

/**
 * Messages that tenants may read, by error code, in place of messages that describe the worker or its training process.
 */
const MESSAGES: ReadonlyMap<string, string> = new Map([
  [OUT_OF_MEMORY, 'the training process of the worker ran out of memory'],
  [INSUFFICIENT_MEMORY, 'the job needs more memory than the worker has that tried it'],
  ['training_process_died', 'the training process of the worker ended in the middle of the job'],
  ['training_process_not_started', 'the training process of the worker cannot start'],
]);

const UNUSABLE = 'a file that this needs cannot be used; the operator can see which';

/** Longest error message that is stored for the operator, in characters. */
const MAX_DETAIL = 2000;

/**
 * Reason for a failure or a wait, as the row of a job, a rollout or a version stores it. `detail` is for the operator
 * alone.
 */
export type StoredProblem = StoredError & { readonly detail: string | null };

/**
 * Converts an error to the problem that a row stores: a code and a message that tenants may read, and the error's own
 * message for the operator. Only errors written for the owner of an adapter keep their own message.
 */
export function storedProblem(error: unknown): StoredProblem {
  const fault = machineFaultOf(error);
  const { code, message } = fault ?? problemOf(error);
  const words = storable((error instanceof Error ? error.message : String(error)).slice(0, MAX_DETAIL));
  const given = MESSAGES.get(code);
  if (given !== undefined) return { code, message: given, detail: words };
  if (fault === null && !isWritten(error, code))
    return { code: INTERNAL_ERROR, message: INTERNAL_MESSAGE, detail: words };
  if (namesInternals(message)) return { code, message: UNUSABLE, detail: words };
  return { code, message, detail: words === message ? null : words };
}

/**
 * Converts a failure that the files of a model have caused to the problem that a row stores. A missing file is reported
 * as such, and not as a fault of the worker's machine.
 */
export function unusableFiles({ code, message }: TrainingFailedError): StoredProblem {
  return storedProblem(new PermanentError(message, { code }));
}

/** Whether an error's code is stable and its message is written for the owner of an adapter. */
function isWritten(error: unknown, code: string): boolean {
  if (WRITTEN_CODES.has(code) || error instanceof PermanentError || error instanceof AppError) return true;
  return error instanceof TrainingFailedError && error.permanent;
}
