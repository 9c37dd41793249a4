import type { ProblemError } from './client.ts';
import { EXIT, ServiceError, UsageError, type ExitCode } from '../process/errors.ts';
import { printable } from '../screen/text.ts';
import type { ServiceTarget } from './profiles/target.ts';

/**
 * Turns an error of the client into a message for people: the problem, the remedy, and the service that was asked.
 * Returns other errors unchanged.
 */
export async function explain(error: unknown, target: ServiceTarget): Promise<unknown> {
  const { ConnectionError, ProblemError, ReadaptError, UnexpectedAnswerError } = await import('./client.ts');
  const asked = `(asked ${target.url}, ${target.from})`;
  if (error instanceof ProblemError) {
    const message = [...problemLines(error), asked].join('\n  ');
    return new ServiceError(message, { code: error.code, exitCode: exitCodeOf(error) });
  }
  if (error instanceof UnexpectedAnswerError) {
    const message = `${printable(error.message)}\n  Is the address that of a Readapt service? ${asked}`;
    return new ServiceError(message, { code: 'unexpected_answer', exitCode: EXIT.failed });
  }
  if (error instanceof ConnectionError) {
    const message = `${printable(error.message)}\n  Is the service running, and the address right? ${asked}`;
    return new ServiceError(message, { code: 'not_reached', exitCode: EXIT.failed });
  }
  // Plain ReadaptErrors are about local files that the client was given.
  if (error instanceof ReadaptError && error.name === 'ReadaptError') return new UsageError(printable(error.message));
  return error;
}

/**
 * Maps a problem's HTTP status to an exit code. A used-up quota does not count as refused, and a conflict does not
 * count as a usage error, because trying again later may help.
 */
function exitCodeOf({ status, code }: ProblemError): ExitCode {
  if (code === 'quota_exceeded') return EXIT.failed;
  if (status === 401 || status === 403) return EXIT.refused;
  if (status === 404) return EXIT.notFound;
  return status === 400 || status === 413 || status === 415 || status === 422 ? EXIT.usage : EXIT.failed;
}

const ADVICE: Readonly<Record<string, string>> = {
  unauthorized: 'The key is not valid, has expired, or was revoked: sign in anew with `readapt login`.',
  forbidden: 'Sign in with a key that may do this: `readapt login --profile NAME`; docs/api.md lists the scopes.',
  rate_limited: 'Wait a little, and ask again.',
  base_model_version_exists: 'It is registered already: leave --path out to start a rollout to it.',
  rollout_exists: 'Watch that one, or cancel it first.',
  wave_not_waiting: '`readapt rollout get` says which wave waits, if one does.',
  rollout_not_ended: 'Cancel it first with `readapt rollout cancel`.',
};

function problemLines({ code, status, problem, requestId }: ProblemError): string[] {
  const { errors, rollout_id: rollout } = problem as { errors?: unknown; rollout_id?: unknown };
  const advice = Object.hasOwn(ADVICE, code) ? ADVICE[code] : undefined;
  return [
    `${printable(problem.detail)} (${status} ${printable(code)})`,
    // The detail repeats the first error.
    ...(Array.isArray(errors) ? errors.slice(1, 10).map(fieldLine) : []),
    ...(typeof rollout === 'string' ? [`It is ${printable(rollout)}.`] : []),
    ...(advice === undefined ? [] : [advice]),
    ...(status >= 500 && requestId !== null ? [`The service's log has it as request ${printable(requestId)}.`] : []),
  ];
}

function fieldLine(error: unknown): string {
  const { field, message } = error as { field?: unknown; message?: unknown };
  return printable(`${String(field ?? 'the request')}: ${String(message ?? 'is not valid')}`);
}
