import { expect, it } from 'vitest';
import { PermanentError, TryLaterError } from '../../../src/platform/queue/index.ts';
import { TrainingCrashedError, TrainingFailedError } from '../../../workers/training/training-errors.ts';
import { createTrainingProcess } from '../../../workers/training/training-process.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { AppError } from '../../../src/platform/contract/errors.ts';
import { acquireDevice, machineFaultOf, problemOf } from '../../../workers/faults/handler-faults.ts';

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

const failed = (code: string, permanent: boolean) => new TrainingFailedError({ code, message: '/models/x', permanent });
const ofSystem = (code: string) => Object.assign(new Error(`${code}: open '/data/x'`), { code });

it.each([
  ['a model folder that is away', failed('missing_file', true), 'worker_fault'],
  ['a disk that cannot be read', failed('EIO', false), 'worker_fault'],
  ['a file that may not be read', ofSystem('EACCES'), 'worker_fault'],
  ['too many open files', ofSystem('EMFILE'), 'worker_fault'],
  ['a lost database', ofSystem('ECONNREFUSED'), 'worker_fault'],
  ['a full disk', noSpace, 'disk_full'],
  ['a full store', new AppError({ code: 'storage_full', status: 507, message: 'full' }), 'disk_full'],
  ['a read-only store', new AppError({ code: 'storage_read_only', status: 507, message: 'x' }), 'worker_fault'],
  ['a process that cannot start', new TrainingCrashedError('it ended', null, false), 'training_process_not_started'],
  ['lack of memory', new TrainingCrashedError('heap', 'certain'), 'out_of_memory'],
])('%s is a fault of the machine, whose message names no path', (_, error, code) => {
  const fault = machineFaultOf(error);
  expect(fault).toMatchObject({ code });
  expect(fault!.message).not.toContain('/');
});

it.each([
  ['bad data', failed('invalid_dataset', true)],
  ['a second lack of memory in a fresh process', failed('out_of_memory', true)],
  ['a process that dies in the middle of a job', new TrainingCrashedError('it ended (SIGSEGV)')],
  ['a job that fails for good', new PermanentError('no dataset', { code: 'dataset_missing' })],
  ['an unforeseen error', new Error('unforeseen')],
  ['a time limit', timeout],
])('%s is not', (_, error) => {
  expect(machineFaultOf(error)).toBeNull();
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
