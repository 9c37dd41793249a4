import { CommanderError } from 'commander';
import { DatasetError } from '../core/formats/dataset/dataset-jsonl.ts';
import { FormatError } from '../core/formats/errors.ts';
import { InterruptedError } from './interruption.ts';

/** The arguments are wrong. The exit code is 2, as for bad input. */
export class UsageError extends Error {
  readonly badInput = true;
  readonly code: string;

  constructor(message: string, code = 'usage') {
    super(message);
    this.name = 'UsageError';
    this.code = code;
  }
}

/** The command has printed its result, which is a failure. The exit code is 1, and stderr gets one more line. */
export class UnsuccessfulResult extends Error {}

/** Node's codes for a wrong path. */
const BAD_PATH_CODES = new Set(['EACCES', 'EISDIR', 'ELOOP', 'ENAMETOOLONG', 'ENOENT', 'ENOTDIR', 'EPERM', 'EROFS']);

/**
 * Returns the exit code: 0 done (also `--help`), 1 failed, 130 or 143 interrupted, and 2 if nothing helps but another
 * argument, file or setting, so that it would be in vain to start the same again.
 */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof InterruptedError) return error.exitCode;
  return isBadInput(error) ? 2 : 1;
}

/** Prints the error as a line on stderr and, under `--json`, as the document on stdout. */
export function printError(error: unknown, json: boolean): void {
  const message = error instanceof Error ? error.message : String(error);
  // Commander has printed its own errors already.
  if (!(error instanceof CommanderError)) process.stderr.write(`readapt: ${message}\n`);
  if (process.env.READAPT_DEBUG && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  if (json && !(error instanceof UnsuccessfulResult))
    process.stdout.write(`${JSON.stringify({ error: { code: codeOf(error), message } }, null, 2)}\n`);
}

function isBadInput(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof FormatError || error instanceof DatasetError) return true;
  if ('badInput' in error && error.badInput === true) return true;
  return isBadPath(error);
}

/** Whether the system has refused a path that cannot be used. */
export function isBadPath(error: Error): boolean {
  return 'path' in error && BAD_PATH_CODES.has(codeOf(error));
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'failed';
}
