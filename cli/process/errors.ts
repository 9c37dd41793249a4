import { CommanderError } from 'commander';
import { DatasetError } from '../../core/formats/dataset/dataset-jsonl.ts';
import { FormatError } from '../../core/formats/errors.ts';
import { InterruptedError } from './interruption.ts';

/** Error for wrong arguments. The exit code is 2, as for bad input. */
export class UsageError extends Error {
  readonly badInput = true;
  readonly code: string;

  constructor(message: string, code = 'usage') {
    super(message);
    this.name = 'UsageError';
    this.code = code;
  }
}

/** Puts a text that somebody has given into quotes for a message, cut after 100 characters. */
export function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}

/** Exit codes of commands, besides 130 and 143 of an interruption. */
export const EXIT = {
  done: 0,
  /** Failed, or ended with an unsuccessful result. Trying again may help. */
  failed: 1,
  /** Wrong argument, file or setting. Trying again does not help. */
  usage: 2,
  /** Not signed in, or not allowed. */
  refused: 3,
  /** Named object does not exist, or belongs to another tenant. */
  notFound: 4,
  /** Watched job or rollout has ended without success. */
  endedBadly: 5,
  /** Watched rollout waits for a person. */
  waits: 6,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/**
 * Thrown when a command has already printed its failure as its result, so that stderr gets only one more line. The exit
 * code is 1 unless another one is given.
 */
export class UnsuccessfulResult extends Error {
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode = EXIT.failed) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Error for a service that refuses a request or cannot be reached, or for which no API key is found. */
export class ServiceError extends Error {
  /**
   * Error code for programs: the code of the problem that the service reports, or a code that the command defines
   * itself.
   */
  readonly code: string;
  readonly exitCode: ExitCode;

  constructor(message: string, { code, exitCode }: { readonly code: string; readonly exitCode: ExitCode }) {
    super(message);
    this.name = 'ServiceError';
    this.code = code;
    this.exitCode = exitCode;
  }
}

/** Codes of Node.js errors that mean a wrong path. */
const BAD_PATH_CODES = new Set(['EACCES', 'EISDIR', 'ELOOP', 'ENAMETOOLONG', 'ENOENT', 'ENOTDIR', 'EPERM', 'EROFS']);

/**
 * Returns the exit code of a command that has thrown this error: 0 if the command is done (also after `--help`), 130 or
 * 143 if it was interrupted, and otherwise one of {@link EXIT}. Code 2 means that the same command fails again until an
 * argument, file or setting is changed.
 */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  if (error instanceof InterruptedError || error instanceof UnsuccessfulResult || error instanceof ServiceError) {
    return error.exitCode;
  }
  return isBadInput(error) ? EXIT.usage : EXIT.failed;
}

/**
 * Prints the error as a line on stderr and, with `--json`, as a document on one line of stdout, so that NDJSON stays
 * valid.
 */
export function printError(error: unknown, json: boolean): void {
  const message = error instanceof Error ? error.message : String(error);
  // Commander has printed its own errors already.
  if (!(error instanceof CommanderError)) process.stderr.write(`readapt: ${message}\n`);
  if (process.env.READAPT_DEBUG && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  if (json && !(error instanceof UnsuccessfulResult))
    process.stdout.write(`${JSON.stringify({ error: { code: codeOf(error), message } })}\n`);
}

function isBadInput(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof FormatError || error instanceof DatasetError) return true;
  if ('badInput' in error && error.badInput === true) return true;
  return isBadPath(error);
}

/** Whether the system has rejected a path. */
export function isBadPath(error: Error): boolean {
  return 'path' in error && BAD_PATH_CODES.has(codeOf(error));
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'failed';
}
