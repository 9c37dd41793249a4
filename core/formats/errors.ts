import { shorten } from '../options/quote.ts';

/**
 * A model, adapter or data file that cannot be used as it is. The message names the file, the part at fault, the value
 * found and the value expected. `code` is stable and safe to show to API clients.
 */
export class FormatError extends Error {
  readonly code: string;
  /** Path of the file at fault, relative to the folder that was opened, if there is one. */
  readonly file: string;
  /** Tensor, field or line at fault, if one can be named; a long name is cut. */
  readonly subject: string | undefined;

  constructor(options: { code: string; file: string; message: string; subject?: string; cause?: unknown }) {
    super(printable(`${options.file}: ${options.message}`), { cause: options.cause });
    this.name = 'FormatError';
    this.code = options.code;
    this.file = options.file;
    this.subject = options.subject === undefined ? undefined : shorten(options.subject);
  }
}

/**
 * Names come from foreign files, so control characters are replaced to keep the message on one log line, and it is cut at
 * 1,000 characters.
 */
function printable(message: string): string {
  // The message may be built from a value of many megabytes.
  const line = message.slice(0, 2000).replace(/\p{Cc}+/gu, ' ');
  return line.length > 1000 ? `${line.slice(0, 1000)}…` : line;
}

/** Whether the system could not read a file that is there. Then the next attempt, or another machine, may read it. */
export function isSystemFault(error: Error): boolean {
  for (let at: unknown = error.cause; at instanceof Error; at = at.cause) {
    const code = 'code' in at ? String(at.code) : '';
    if (/^E[A-Z]+$/.test(code) && code !== 'ENOENT' && code !== 'ENOTDIR') return true;
  }
  return false;
}
