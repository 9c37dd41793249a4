import { INTERNAL_ERROR } from '../../src/lib/shown-error.ts';
import { INSUFFICIENT_MEMORY } from '../adaptations/memory-check.ts';
import { MISSING_FILE, WORKER_FAULT } from '../handler-faults.ts';
import { OUT_OF_MEMORY } from '../training/out-of-memory.ts';

/** Codes of failed attempts that have a time series of their own. Tenants' files can cause many others. */
export const FAILURE_CODES: readonly string[] = [
  WORKER_FAULT,
  'disk_full',
  'timed_out',
  OUT_OF_MEMORY,
  INSUFFICIENT_MEMORY,
  'training_process_died',
  'training_process_not_started',
  'too_many_attempts',
  'quota_exceeded',
  'not_finite',
  MISSING_FILE,
  INTERNAL_ERROR,
];

/** Label for all other codes. */
export const OTHER_FAILURE = 'other';

/** Label of the time series that a code is counted in. */
export function failureCodeOf(code: string): string {
  return FAILURE_CODES.includes(code) ? code : OTHER_FAILURE;
}
