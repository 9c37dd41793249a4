import { IncompatibleBasesError } from '../../core/adaptation/evolutions.ts';
import { CancelledError } from '../../core/adaptation/run-adaptation.ts';
import { TaskDataError } from '../../core/data/task-data.ts';
import { TokenizeError } from '../../core/data/tokenize.ts';
import { DatasetError } from '../../core/formats/dataset/dataset-jsonl.ts';
import { FormatError } from '../../core/formats/errors.ts';
import { AdaptationError } from '../../core/method/errors.ts';
import { InvalidOptionError } from '../../core/options/job-settings.ts';
import { TrainingDivergedError } from '../../core/training/loss-monitor.ts';
import { OUT_OF_MEMORY, outOfMemoryMessage, saysOutOfMemory } from './out-of-memory.ts';
import type { RequestFailure } from './protocol.ts';
import { systemFaultOf } from './system-faults.ts';

/** Types of errors that come from the input of a request, and so come again at every attempt. */
const PERMANENT = [
  FormatError,
  DatasetError,
  TaskDataError,
  TokenizeError,
  IncompatibleBasesError,
  AdaptationError,
  InvalidOptionError,
  TrainingDivergedError,
];

/**
 * Converts an error in the training process to the failure that it reports to its worker. A failure by bad input is
 * permanent; one by a full disk or lack of memory is not.
 */
export function toFailure(error: unknown): RequestFailure {
  if (error instanceof CancelledError) return { code: 'cancelled', message: error.message, permanent: true };
  const message = error instanceof Error ? error.message : String(error);
  // An error about an invalid file may come from a fault of the system, which is not permanent.
  const fault = systemFaultOf(error);
  const permanent = fault === null && PERMANENT.some((type) => error instanceof type);
  // A message about bad input may quote the input, so its words prove nothing about memory.
  if (!permanent && error instanceof Error && saysOutOfMemory(message)) {
    const what = `the training process ran out of memory (${message})`;
    return { code: OUT_OF_MEMORY, message: outOfMemoryMessage(what, process.memoryUsage.rss()), permanent: false };
  }
  if (fault !== null) return { code: fault, message, permanent };
  const hasCode = error instanceof Error && 'code' in error && typeof error.code === 'string';
  const code = hasCode ? (error.code as string) : 'internal_error';
  if (error instanceof IncompatibleBasesError) return { code, message, permanent, differences: error.differences };
  const stack = !permanent && error instanceof Error ? error.stack : undefined;
  return { code, message, permanent, ...(stack !== undefined && { stack }) };
}
