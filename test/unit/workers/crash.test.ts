import { expect, test } from 'vitest';
import { crashOf, type Death } from '../../../workers/training/training-errors.ts';

const HEAP = 'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory';
const DEATH: Death = { reason: 'SIGKILL', killed: false, outOfMemoryLine: null, residentBytes: 3 * 2 ** 30 };

test.each([
  [
    'killed by the kernel',
    {},
    'likely',
    new RegExp(
      String.raw`was killed \(SIGKILL\), most likely .* lack of memory, ` +
        'with 3072 MiB resident when last seen: use a smaller batch size',
    ),
  ],
  ['killed, of unknown size', { residentBytes: null }, 'likely', /for lack of memory: use a smaller batch size/],
  ['killed by its worker', { killed: true }, null, /^the training process ended \(SIGKILL\)$/],
  [
    'heap exhausted',
    { reason: 'SIGABRT', outOfMemoryLine: HEAP },
    'certain',
    /ran out of memory \(FATAL ERROR: .* heap out of memory\), with 3072 MiB/,
  ],
  [
    'uncaught bad_alloc',
    { reason: 'SIGABRT', outOfMemoryLine: '  what():  std::bad_alloc' },
    'certain',
    /ran out of memory \(what\(\): {2}std::bad_alloc\)/,
  ],
  ['a segmentation fault', { reason: 'SIGSEGV' }, null, /^the training process ended \(SIGSEGV\)$/],
  ['an exit', { reason: 'exit code 1' }, null, /^the training process ended \(exit code 1\)$/],
] as const)('a training process that ended: %s', (_, death, outOfMemory, message) => {
  const crash = crashOf({ ...DEATH, ...death });
  expect(crash.message).toMatch(message);
  expect(crash.outOfMemory).toBe(outOfMemory);
  expect(crash.code).toBe(outOfMemory === null ? 'training_process_died' : 'out_of_memory');
});
