import { retryAfterMs } from './delays.ts';
import type { Problem, ProblemCode } from './generated/types.gen.ts';

/** Whatever this client throws by itself. An aborted request throws the reason of its signal instead. */
export class ReadaptError extends Error {
  override readonly name: string = 'ReadaptError';
}

/** The service has answered with a problem (RFC 9457). */
export class ProblemError extends ReadaptError {
  override readonly name = 'ProblemError';
  /** What is wrong, for programs. Codes do not change; later versions of the service add some. */
  readonly code: ProblemCode;
  readonly status: number;
  /** The answer, with the members that belong to its code. */
  readonly problem: Problem;
  /** Names the request in the service's log. */
  readonly requestId: string | null;
  /** After how many milliseconds the service asks for the request again; null if it does not. */
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

/** An answer that is not of this API, for example the page of a proxy. */
export class UnexpectedAnswerError extends ReadaptError {
  override readonly name = 'UnexpectedAnswerError';
  readonly status: number;

  constructor(request: Request, response: Response, body: unknown) {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    super(`${describe(request)} answered ${response.status} with something else than a problem: ${text.slice(0, 200)}`);
    this.status = response.status;
  }
}

/** No answer came, also after the retries. `cause` is the last fault. */
export class ConnectionError extends ReadaptError {
  override readonly name = 'ConnectionError';
  readonly attempts: number;

  constructor(request: Request, attempts: number, cause: unknown) {
    const times = attempts === 1 ? 'one attempt' : `${attempts} attempts`;
    super(`${describe(request)} got no answer in ${times}: ${reasonOf(cause)}`, { cause });
    this.attempts = attempts;
  }
}

/** Whether the error is a problem, and if a code is given, that of the code. */
export function isProblem<Code extends ProblemCode = ProblemCode>(
  error: unknown,
  code?: Code,
): error is ProblemError & { readonly code: Code } {
  return error instanceof ProblemError && (code === undefined || error.code === code);
}

/** What the generated client throws: the error that belongs to an answer, or the fault because of which none came. */
export function errorOf(error: unknown, response: Response | undefined, request: Request): unknown {
  if (response === undefined) return error;
  return isProblemDocument(error)
    ? new ProblemError(request, response, error)
    : new UnexpectedAnswerError(request, response, error);
}

function isProblemDocument(body: unknown): body is Problem {
  return typeof body === 'object' && body !== null && 'code' in body && 'status' in body && 'detail' in body;
}

/** The method and the path. The query is left out, because it may hold what should not be in a log. */
function describe(request: Request): string {
  return `${request.method} ${new URL(request.url).pathname}`;
}

/** `fetch` says only that it has failed; its cause says why. */
export function reasonOf(fault: unknown): string {
  const reason: unknown = fault instanceof Error ? (fault.cause ?? fault) : fault;
  return reason instanceof Error ? reason.message || reason.name : String(reason);
}
