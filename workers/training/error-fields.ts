import { DatasetError } from '../../core/formats/dataset/dataset-jsonl.ts';
import { FormatError } from '../../core/formats/errors.ts';
import { AdaptationError } from '../../core/method/errors.ts';
import { CancelledError } from '../../core/adaptation/adaptation.ts';
import { IncompatibleBasesError } from '../../core/adaptation/evolve.ts';
import { TrainingDivergedError } from '../../core/training/loss-monitor.ts';
import { OUT_OF_MEMORY, outOfMemoryMessage, saysOutOfMemory } from './out-of-memory.ts';
import type { BaseDifference } from './protocol.ts';
import { TaskDataError } from '../../core/data/task-data.ts';
import { TokenizeError } from '../../core/data/tokenize.ts';

export interface ErrorFields {
  readonly code: string;
  readonly message: string;
  readonly permanent: boolean;
  readonly differences?: readonly BaseDifference[];
}

/** Trying again with the same input ends the same. */
const PERMANENT = [
  FormatError,
  DatasetError,
  TaskDataError,
  TokenizeError,
  IncompatibleBasesError,
  AdaptationError,
  TrainingDivergedError,
];

/** An error as a message to the parent: faults of the input are permanent, all else (disk full, memory) is not. */
export function errorFields(error: unknown): ErrorFields {
  if (error instanceof CancelledError) return { code: 'cancelled', message: error.message, permanent: true };
  const message = error instanceof Error ? error.message : String(error);
  const permanent = PERMANENT.some((type) => error instanceof type);
  const code =
    error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'internal_error';
  if (error instanceof TokenizeError) return { code: 'invalid_dataset', message, permanent };
  if (isOutOfMemory(error)) {
    const what = `the training process ran out of memory (${message})`;
    return { code: OUT_OF_MEMORY, message: outOfMemoryMessage(what, process.memoryUsage.rss()), permanent: false };
  }
  if (error instanceof IncompatibleBasesError) return { code, message, permanent, differences: error.differences };
  return { code, message, permanent };
}

/** Faults of the input quote the input, which may say anything. */
function isOutOfMemory(error: unknown): boolean {
  if (PERMANENT.some((type) => error instanceof type)) return false;
  return error instanceof Error && saysOutOfMemory(error.message);
}
