import { expect, it } from 'vitest';
import { PermanentError, TryLaterError } from '../../../src/jobs/index.ts';
import { TrainingCrashedError, TrainingFailedError } from '../../../workers/training/training-errors.ts';
import { createTrainingProcess } from '../../../workers/training/training-process.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { acquireDevice, isStopping, problemOf } from '../../../workers/handler-faults.ts';

const timeout = new DOMException('The operation was aborted due to timeout', 'TimeoutError');
const noSpace = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
const full = 'no space is left where the worker keeps checkpoints and artifacts';

it.each([
  [new PermanentError('no dataset', { code: 'dataset_missing' }), 'dataset_missing', 'no dataset'],
  [new TrainingCrashedError('it ended (SIGKILL)'), 'training_process_died', 'it ended (SIGKILL)'],
  [timeout, 'timed_out', 'the job took longer than it may'],
  [noSpace, 'disk_full', full],
  [new TrainingFailedError({ code: 'EDQUOT', message: 'write', permanent: false }), 'disk_full', full],
  [new Error('unforeseen'), 'internal_error', 'unforeseen'],
  ['a string', 'internal_error', 'a string'],
])('%s is code %s', (error, code, message) => {
  expect(problemOf(error)).toEqual({ code, message });
});

it('tells a worker that stops from a job whose time is over', () => {
  expect(isStopping(new AbortController().signal)).toBe(false);
  expect(isStopping(AbortSignal.abort(new Error('the worker is stopping')))).toBe(true);
  expect(isStopping(AbortSignal.abort(timeout))).toBe(false);
});

it('puts a job off whose worker stops before the device is free', async () => {
  const training = createTrainingProcess({ logger: createLogger({ level: 'silent', pretty: false }) });
  const holder = await acquireDevice(training, new AbortController().signal);
  const controller = new AbortController();
  const waiting = acquireDevice(training, controller.signal);
  controller.abort(new Error('the worker is stopping'));
  await expect(waiting).rejects.toThrow(TryLaterError);
  holder.release();
});
