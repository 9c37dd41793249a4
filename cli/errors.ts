import { CommanderError } from 'commander';
import { DatasetError } from '../core/formats/dataset/dataset-jsonl.ts';
import { InterruptedError } from './interruption.ts';
import { FormatError } from '../core/formats/errors.ts';

/** Arguments that cannot be meant: exit code 2, like a file that cannot be read as what it should be. */
export class UsageError extends Error {
  readonly code: string;

  constructor(message: string, code = 'usage') {
    super(message);
    this.name = 'UsageError';
    this.code = code;
  }
}

/** The command did its work and printed its result, and the result is a failure: exit code 1, one line on stderr. */
export class UnsuccessfulResult extends Error {}

/** Codes of Node's file system errors that mean that a path given on the command line is wrong. */
const BAD_PATH_CODES = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES', 'ENAMETOOLONG', 'ELOOP']);

const BAD_INPUT = [UsageError, FormatError, DatasetError];

/** 0 done (also `--help`), 1 failed, 2 usage or bad input, 130 or 143 interrupted. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof InterruptedError) return error.exitCode;
  if (BAD_INPUT.some((type) => error instanceof type) || isInputError(error)) return 2;
  return 1;
}

/** The error as a line on stderr and, under `--json`, as the one document on stdout. */
export function printError(error: unknown, json: boolean): void {
  const message = error instanceof Error ? error.message : String(error);
  // Commander has printed its own errors by then.
  if (!(error instanceof CommanderError)) process.stderr.write(`readapt: ${message}\n`);
  if (process.env.READAPT_DEBUG && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  if (json && !(error instanceof UnsuccessfulResult))
    process.stdout.write(`${JSON.stringify({ error: { code: codeOf(error), message } }, null, 2)}\n`);
}

/** Other errors of the core that are the input's fault say so by `badInput`. */
function isInputError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ('badInput' in error && error.badInput === true) return true;
  return 'path' in error && BAD_PATH_CODES.has(codeOf(error));
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'failed';
}
