import { shorten } from '../options/quote.ts';

/**
 * Thrown for a model, adapter or data file that cannot be used. The message names the file, the part at fault, the
 * value found and the value expected. `code` is stable and safe to show to API clients.
 */
export class FormatError extends Error {
  readonly code: string;
  /** Path of the file at fault. If a folder was opened, the path is relative to that folder. */
  readonly file: string;
  /** Tensor, field or line at fault, if one can be named; a long name is truncated. */
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
 * Replaces control characters, since names come from foreign files and a message must stay on one log line, and
 * truncates the message at 1,000 characters.
 */
function printable(message: string): string {
  // Slice first: the message may contain a value of many megabytes.
  const line = message.slice(0, 2000).replace(/\p{Cc}+/gu, ' ');
  return line.length > 1000 ? `${line.slice(0, 1000)}…` : line;
}

/**
 * Whether an error was caused by a system error while an existing file was read. Another attempt, or another machine,
 * may then succeed.
 */
export function isSystemFault(error: Error): boolean {
  for (let at: unknown = error.cause; at instanceof Error; at = at.cause) {
    const code = 'code' in at ? String(at.code) : '';
    if (/^E[A-Z]+$/.test(code) && code !== 'ENOENT' && code !== 'ENOTDIR') return true;
  }
  return false;
}
