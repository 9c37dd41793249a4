import { retryAfterMs } from './delays.ts';
import type { Problem, ProblemCode } from './generated/types.gen.ts';

/** Base class of the client's own errors. An aborted request throws the reason of its signal instead. */
export class ReadaptError extends Error {
  override readonly name: string = 'ReadaptError';
}

/** Error of a request that the service has answered with a problem (RFC 9457). */
export class ProblemError extends ReadaptError {
  override readonly name = 'ProblemError';
  /** Error code for programs. Codes do not change; later versions of the service add some. */
  readonly code: ProblemCode;
  readonly status: number;
  /** Body of the answer, with the members that belong to its code. */
  readonly problem: Problem;
  /** Identifier of the request in the service's log. */
  readonly requestId: string | null;
  /** Delay after which the service asks for the request again, in milliseconds; null if it does not ask. */
  readonly retryAfterMs: number | null;

  constructor(request: Request, response: Response, problem: Problem) {
    super(`${describe(request)} answered ${problem.status} ${problem.code}: ${problem.detail}`);
    this.code = problem.code;
    this.status = problem.status;
    this.problem = problem;
    this.requestId = response.headers.get('x-request-id');
    this.retryAfterMs = retryAfterMs(response);
  }
}

/** Error of an answer that is not one of this API, for example the page of a proxy. */
export class UnexpectedAnswerError extends ReadaptError {
  override readonly name = 'UnexpectedAnswerError';
  readonly status: number;

  constructor(request: Request, response: Response, body: unknown) {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    super(`${describe(request)} answered ${response.status} with something else than a problem: ${text.slice(0, 200)}`);
    this.status = response.status;
  }
}

/** Error of a request that got no answer, even after the retries. `cause` is the last fault. */
export class ConnectionError extends ReadaptError {
  override readonly name = 'ConnectionError';
  readonly attempts: number;

  constructor(request: Request, attempts: number, cause: unknown) {
    const times = attempts === 1 ? 'one attempt' : `${attempts} attempts`;
    super(`${describe(request)} got no answer in ${times}: ${reasonOf(cause)}`, { cause });
    this.attempts = attempts;
  }
}

/** Whether the error is a problem and, if a code is given, has this code. */
export function isProblem<Code extends ProblemCode = ProblemCode>(
  error: unknown,
  code?: Code,
): error is ProblemError & { readonly code: Code } {
  return error instanceof ProblemError && (code === undefined || error.code === code);
}

/** Converts the error of the generated client: to that of the answer, or to the fault if no answer came. */
export function errorOf(error: unknown, response: Response | undefined, request: Request): unknown {
  if (response === undefined) return error;
  return isProblemDocument(error)
    ? new ProblemError(request, response, error)
    : new UnexpectedAnswerError(request, response, error);
}

function isProblemDocument(body: unknown): body is Problem {
  return typeof body === 'object' && body !== null && 'code' in body && 'status' in body && 'detail' in body;
}

/** Names a request by method and path. Leaves out the query, which may hold values that do not belong in a log. */
function describe(request: Request): string {
  return `${request.method} ${new URL(request.url).pathname}`;
}

/** Message of a fault's cause, if it has one, because `fetch` itself only reports that it has failed. */
export function reasonOf(fault: unknown): string {
  const reason: unknown = fault instanceof Error ? (fault.cause ?? fault) : fault;
  return reason instanceof Error ? reason.message || reason.name : String(reason);
}
