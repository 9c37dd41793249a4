import { expect, it } from 'vitest';
import { PermanentError } from '../../../src/platform/queue/index.ts';
import { AppError } from '../../../src/platform/contract/errors.ts';
import { namesInternals } from '../../../src/platform/contract/shown-error.ts';
import { storedProblem } from '../../../workers/faults/stored-problem.ts';
import { TrainingCrashedError, TrainingFailedError } from '../../../workers/training/training-errors.ts';

const failed = (code: string, message: string, permanent: boolean) =>
  new TrainingFailedError({ code, message, permanent });
const ofSystem = (code: string) => Object.assign(new Error(`${code}: open '/data/x'`), { code });

it.each([
  ['bad data', failed('invalid_dataset', 'dataset row 3 cannot be tokenized', true), 'invalid_dataset'],
  ['a job without data', new PermanentError('no dataset', { code: 'dataset_missing' }), 'dataset_missing'],
  ['a time limit', new DOMException('x', 'TimeoutError'), 'timed_out'],
  [
    'an error of the store',
    new AppError({ code: 'artifact_corrupt', status: 500, message: 'it changed' }),
    'artifact_corrupt',
  ],
])('%s keeps its code and its message', (_, error, code) => {
  const { message, ...stored } = storedProblem(error);
  expect(stored.code).toBe(code);
  expect([error.message, 'the job took longer than its time limit']).toContain(message);
});

it.each([
  ['an unforeseen error', new TypeError('cannot read x of undefined (at /app/core/x.ts:3)'), 'internal_error'],
  ['an unforeseen error of the training process', failed('ERR_X', 'shape [3] of /models/v2', false), 'internal_error'],
  ['an error of the database', ofSystem('P2010'), 'internal_error'],
  ['a system error without a rule', ofSystem('EEXIST'), 'internal_error'],
  ['a full disk', ofSystem('ENOSPC'), 'disk_full'],
  ['a disk that cannot be read', ofSystem('EIO'), 'worker_fault'],
  ['a file with a path in its message', failed('invalid_x', '/data/x: is broken', true), 'invalid_x'],
  [
    'a process that died',
    new TrainingCrashedError('the training process ended (SIGSEGV) at /x'),
    'training_process_died',
  ],
  ['lack of memory', new TrainingCrashedError('heap of 4 GB, see /x', 'certain'), 'out_of_memory'],
  [
    'a job that is too large',
    new PermanentError('this worker has 4 GiB (/sys/fs/cgroup)', { code: 'insufficient_memory' }),
    'insufficient_memory',
  ],
])('the words of %s are kept for the operator alone', (_, error, code) => {
  const stored = storedProblem(error);
  expect(stored.code).toBe(code);
  expect(stored.detail).toBe(error.message);
  expect(namesInternals(stored.message)).toBe(false);
  expect(stored.message).not.toMatch(/GB|GiB|SIG|\//);
});

it('words that are cut or hold a NUL character can be stored', () => {
  expect(storedProblem(new TypeError(`${'x'.repeat(1999)}😀`)).detail).toBe(`${'x'.repeat(1999)}\ufffd`);
  expect(storedProblem(new TypeError('a\0b')).detail).toBe('a\ufffdb');
});

it.each([
  ['/srv/x: folder does not exist', true],
  ["open '/srv/x'", true],
  ['a\n    at f (file.js:1)', true],
  ['C:\\data\\x', true],
  ['the module (file:///app/x.ts)', true],
  ['expected accuracy at least 0.8, and/or 3 / 4 rows of 12 tokens/s', false],
  ['model.safetensors: tensor model.layers.1.lora_A is missing', false],
])('whether "%s" names something internal: %s', (text, expected) => {
  expect(namesInternals(text)).toBe(expected);
});
