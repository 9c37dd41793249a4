import { expect, it } from 'vitest';
import { attemptEnd, limitStarts, PermanentError, TryLaterError } from '../../../src/platform/queue/index.ts';
import { endOf } from '../../../src/platform/queue/retry-policy.ts';
import { classifyError, classifyFault } from '../../../workers/faults/handler-faults.ts';
import { TrainingCrashedError, TrainingFailedError } from '../../../workers/training/training-errors.ts';

const failed = (code: string, permanent: boolean) => new TrainingFailedError({ code, message: 'it failed', permanent });
const ofSystem = (code: string) => Object.assign(new Error(code), { code });
const leaving = (error: unknown) => classifyError(error, 5000);

const running = new AbortController().signal;
const stopping = AbortSignal.abort(new Error('the worker is stopping'));
const timeout = new DOMException('it took too long', 'TimeoutError');
const late = AbortSignal.abort(timeout);

const TABLE = [
  // Error, its class for the queue, and the end of the first attempt, of the last one, and of each whose time is up.
  ['an unforeseen error', new Error('x'), classifyError, ['retry', 'fail', 'retry', 'fail']],
  ['a process that died', new TrainingCrashedError('x'), classifyError, ['retry', 'fail', 'retry', 'fail']],
  ['a permanent failure', new PermanentError('x'), classifyError, ['fail', 'fail', 'retry', 'fail']],
  ['bad data', failed('invalid_dataset', true), classifyError, ['fail', 'fail', 'retry', 'fail']],
  ['bad data in an analysis', failed('invalid_dataset', true), classifyFault, ['retry', 'fail', 'retry', 'fail']],
  ['a full disk', ofSystem('ENOSPC'), classifyError, ['worker-fault', 'worker-fault', 'retry', 'fail']],
  ['a full disk in an analysis', ofSystem('EIO'), classifyFault, ['worker-fault', 'worker-fault', 'retry', 'fail']],
  ['a missing base', failed('missing_file', true), classifyError, ['worker-fault', 'worker-fault', 'retry', 'fail']],
  ['lack of memory', failed('out_of_memory', false), classifyError, ['worker-fault', 'worker-fault', 'retry', 'fail']],
  ['lack of memory once more', failed('out_of_memory', true), classifyError, ['fail', 'fail', 'retry', 'fail']],
  ['a job too large', failed('insufficient_memory', false), classifyError, ['retry', 'fail', 'retry', 'fail']],
  ['one left to others', failed('insufficient_memory', false), leaving, ['put-off', 'put-off', 'retry', 'fail']],
  [
    'one too large for all',
    new PermanentError('x', { code: 'insufficient_memory' }),
    leaving,
    ['fail', 'fail', 'retry', 'fail'],
  ],
  ['a wait', new TryLaterError('x', 7), classifyError, ['put-off', 'put-off', 'put-off', 'put-off']],
] as const;

it.each(TABLE)('decides how an attempt ends after %s', (_, error, classify, ends) => {
  const contexts = [running, late].flatMap((signal) => [false, true].map((lastAttempt) => ({ signal, lastAttempt })));
  const attempts = contexts.map((context) => attemptEnd(error, context, classify));
  expect(attempts.map(({ end }) => end)).toEqual(ends);
  // The handler's error tells the consumer the same end.
  expect(attempts.map((attempt) => endOf(attempt.error).end)).toEqual(ends);
  const whenLate = error instanceof TryLaterError ? error : timeout;
  expect(attempts.map(({ cause }) => cause)).toEqual([error, error, whenLate, whenLate]);
  for (const lastAttempt of [false, true]) {
    const stopped = attemptEnd(error, { signal: stopping, lastAttempt }, classify);
    expect(stopped).toMatchObject({ end: 'stopped', error: { name: 'TryLaterError', delayMs: 0 } });
  }
});

it('leaves a job that is too large for the given time, with its own message', () => {
  const { error } = attemptEnd(failed('insufficient_memory', false), { signal: running, lastAttempt: true }, leaving);
  expect(error).toMatchObject({ delayMs: 5000, message: 'it failed' });
});

it('throws a transient error as it is, and tells the queue that the last one is permanent', () => {
  const error = new Error('x');
  expect(attemptEnd(error, { signal: running, lastAttempt: false }).error).toBe(error);
  expect(attemptEnd(error, { signal: running, lastAttempt: true }).error).toBeInstanceOf(PermanentError);
});

it('limits how often a job may begin', () => {
  const begin = (starts: number) => () => limitStarts('adaptation.run', starts, 'job job_1 was claimed');
  expect(begin(25)).not.toThrow();
  expect(begin(26)).toThrow(
    expect.objectContaining({
      code: 'too_many_attempts',
      message: 'job job_1 was claimed 25 times and never ended',
    }),
  );
});
