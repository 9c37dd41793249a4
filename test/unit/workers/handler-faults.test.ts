import { expect, it } from 'vitest';
import { PermanentError, TryLaterError } from '../../../src/jobs/index.ts';
import { TrainingCrashedError, TrainingFailedError } from '../../../workers/training/training-errors.ts';
import { createTrainingProcess } from '../../../workers/training/training-process.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { acquireDevice, isStopping, problemOf } from '../../../workers/handler-faults.ts';

const timeout = new DOMException('The operation was aborted due to timeout', 'TimeoutError');
const noSpace = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
const full = 'no space is left in the data folder of the worker, which keeps checkpoints and artifacts';

it.each([
  [new PermanentError('no dataset', { code: 'dataset_missing' }), 'dataset_missing', 'no dataset'],
  [new TrainingCrashedError('it ended (SIGKILL)'), 'training_process_died', 'it ended (SIGKILL)'],
  [timeout, 'timed_out', 'the job took longer than its time limit'],
  [noSpace, 'disk_full', full],
  [new TrainingFailedError({ code: 'EDQUOT', message: 'write', permanent: false }), 'disk_full', full],
  [new Error('unforeseen'), 'internal_error', 'unforeseen'],
  ['a string', 'internal_error', 'a string'],
])('converts %s to the code %s', (error, code, message) => {
  expect(problemOf(error)).toEqual({ code, message });
});

it('distinguishes a worker that stops from a job that took too long', () => {
  expect(isStopping(new AbortController().signal)).toBe(false);
  expect(isStopping(AbortSignal.abort(new Error('the worker is stopping')))).toBe(true);
  expect(isStopping(AbortSignal.abort(timeout))).toBe(false);
});

it('puts off a job whose worker stops before the device is free', async () => {
  const training = createTrainingProcess({ logger: createLogger({ level: 'silent', pretty: false }) });
  const holder = await acquireDevice(training, new AbortController().signal);
  const controller = new AbortController();
  const waiting = acquireDevice(training, controller.signal);
  controller.abort(new Error('the worker is stopping'));
  await expect(waiting).rejects.toThrow(TryLaterError);
  holder.release();
});
