import type { BaseCache } from '../../engine/base-cache.ts';
import type { Checkpoint } from '../../training/checkpoint.ts';
import { answersIn, precisionOf } from '../job-context.ts';
import type { AnswersRecord } from '../prompts/writer.ts';

/** Leaves out a checkpoint whose precision this device does not have, with a warning. */
export function usableCheckpoint(
  found: Checkpoint | null,
  bases: Pick<BaseCache, 'supports'>,
  warn: (message: string) => void,
): Checkpoint | null {
  const precision = found && precisionOf(found);
  if (precision === null || bases.supports(precision)) return found;
  warn(`the job began in ${precision}, which this device does not have, so it begins again`);
  return null;
}

/** Leaves out a checkpoint whose candidates were measured on other answers to the prompts, with a warning. */
export function withSameAnswers(
  found: Checkpoint | null,
  written: AnswersRecord | null,
  warn: (message: string) => void,
): Checkpoint | null {
  if (found === null || answersIn(found)?.digest === written?.digest) return found;
  warn('the answers to the prompts are not those that the job began with, so it begins again');
  return null;
}
