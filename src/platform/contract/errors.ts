import type { ProblemCode } from './problem-codes.ts';

/** Error for a client, with a stable code, an HTTP status and a message that reveals nothing internal. */
export class AppError extends Error {
  readonly code: ProblemCode;
  readonly status: number;
  /** Further members of the problem document (RFC 9457), for example `differences` or `lines`. */
  readonly details: Record<string, unknown>;

  constructor(options: {
    code: ProblemCode;
    status: number;
    message: string;
    details?: Record<string, unknown>;
    cause?: unknown;
  }) {
    super(options.message, { cause: options.cause });
    this.name = 'AppError';
    this.code = options.code;
    this.status = options.status;
    this.details = options.details ?? {};
  }
}

export function notFound(what: string, id: string): AppError {
  return new AppError({ code: 'not_found', status: 404, message: `${what} ${id} does not exist` });
}

export function conflict(code: ProblemCode, message: string, details?: Record<string, unknown>): AppError {
  return new AppError({ code, status: 409, message, details });
}

export function unprocessable(code: ProblemCode, message: string, details?: Record<string, unknown>): AppError {
  return new AppError({ code, status: 422, message, details });
}
