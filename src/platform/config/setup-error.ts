import path from 'node:path';

/**
 * Error of a process that cannot start as configured. The message names the setting and the remedy, and never contains
 * a password.
 */
export class SetupError extends Error {
  readonly code: string;
  /**
   * Whether the process can start only with a changed setting, so that starting it again without a change is in vain.
   */
  readonly badInput: boolean;

  constructor(code: string, message: string, options: { badInput: boolean; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.name = 'SetupError';
    this.code = code;
    this.badInput = options.badInput;
  }
}

/** Error codes of an unusable folder. Those of a full disk are in {@link FULL_CODES}. */
const FOLDER_CODES = new Set([
  'EACCES',
  'EEXIST',
  'EISDIR',
  'ELOOP',
  'ENAMETOOLONG',
  'ENOENT',
  'ENOTDIR',
  'EPERM',
  'EROFS',
]);

/** Turns an error about a file in the data folder into one that names the setting. Returns other errors unchanged. */
export function nameDataFolder(error: unknown, dataDir: string): unknown {
  const fault = faultIn(dataDir, error) ?? faultIn(dataDir, error instanceof Error ? error.cause : null);
  if (fault === null) return error;
  const where = fault.path === dataDir ? '' : `: ${fault.path}`;
  return new SetupError(
    'data_folder_unusable',
    `READAPT_DATA_DIR is ${dataDir}, which cannot be written (${fault.code}${where}): ` +
      (FOLDER_CODES.has(fault.code)
        ? 'let this user write to it, or set READAPT_DATA_DIR (--data-dir) to another folder'
        : 'free some space, or set READAPT_DATA_DIR (--data-dir) to another folder'),
    { badInput: FOLDER_CODES.has(fault.code), cause: error },
  );
}

const FULL_CODES = new Set(['EDQUOT', 'EFBIG', 'ENOSPC']);

function faultIn(dataDir: string, error: unknown): { code: string; path: string } | null {
  if (!(error instanceof Error)) return null;
  // If a finished file is moved into place, `dest` is that place.
  const { code, path: source, dest } = error as NodeJS.ErrnoException & { dest?: string };
  const found = dest ?? source;
  if (code === undefined || !(FOLDER_CODES.has(code) || FULL_CODES.has(code))) return null;
  // The error of a write to an open file has no path.
  if (found === undefined) return FULL_CODES.has(code) ? { code, path: dataDir } : null;
  // A folder above the data folder may be missing or read-only.
  const related = path.relative(dataDir, found);
  const isInside = !related.startsWith('..') || !path.relative(found, dataDir).startsWith('..');
  return isInside && !path.isAbsolute(related) ? { code, path: found } : null;
}

/** Turns the error of a server that cannot listen into one that names the setting. Returns other errors unchanged. */
export function nameAddress(error: unknown, { host, port }: { host: string; port: number }): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  const refuse = (message: string) => new SetupError('address_unusable', message, { badInput: true, cause: error });
  switch (code) {
    case 'EADDRINUSE':
      return refuse(
        `READAPT_PORT is ${port}, on which another process listens (${host}): ` +
          'stop it, or set READAPT_PORT (--port) to another port; 0 takes a free one',
      );
    case 'EACCES':
      return refuse(
        `READAPT_PORT is ${port}, on which this user may not listen: set READAPT_PORT (--port) to another port`,
      );
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return refuse(
        `READAPT_HOST is ${host}, which is no address of this machine (${code}): set READAPT_HOST (--host) to one, ` +
          'such as 127.0.0.1, or 0.0.0.0 for all',
      );
    default:
      return error;
  }
}
