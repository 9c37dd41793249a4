import { ConnectionError, ProblemError } from '@readapt/client';
import { sentence } from '../lib/format.ts';

/** Error of a request as the dashboard shows it. */
interface ShownProblem {
  readonly title: string;
  readonly detail: string;
  /** Advice to the reader on what to do. */
  readonly advice: string;
  /** Stable error code of the API; null if the API did not answer. */
  readonly code: string | null;
  /** Identifier under which the service's log has the failed request. */
  readonly requestId: string | null;
}

const ADVICE: Readonly<Record<number, string>> = {
  401: 'Sign in again with a key that is valid.',
  403: 'Sign in with a key that may do this: the operator or an administrator of the tenant makes one.',
  404: 'Check the address. What it names may have been deleted, or belongs to another tenant.',
  409: 'Something has changed in the meantime. Load the page again and look at the state as it is now.',
  429: 'Wait a moment. The page asks again by itself.',
  503: 'Wait a moment. The page asks again by itself.',
  507: 'The operator has to free space, or make the database writable again.',
};
const OWN_FAULT = 'Try again. If it lasts, give the operator the time and the code.';
const BAD_REQUEST = 'Correct what is named, and try again.';

/** Whether the request got no answer, for example because the network is down or the service restarts. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof ConnectionError;
}

/** HTTP status of an error from the API; null for any other error. */
export function statusOf(error: unknown): number | null {
  return error instanceof ProblemError ? error.status : null;
}

export function showProblem(error: unknown): ShownProblem {
  if (error instanceof ProblemError) {
    const { status, problem, code, requestId } = error;
    const advice = ADVICE[status] ?? (status >= 500 ? OWN_FAULT : BAD_REQUEST);
    return { title: problem.title, detail: sentence(problem.detail), advice, code, requestId };
  }
  if (isUnreachable(error)) {
    return unanswered('The service cannot be reached', 'The request got no answer.', CHECK_NETWORK);
  }
  const detail = error instanceof Error ? error.message : String(error);
  return unanswered('The dashboard has failed', sentence(detail), 'Load the page again.');
}

const CHECK_NETWORK = 'Check the network and whether the service runs. The page asks again by itself.';

function unanswered(title: string, detail: string, advice: string): ShownProblem {
  return { title, detail, advice, code: null, requestId: null };
}
