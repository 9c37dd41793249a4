import { expect, test } from 'vitest';
import { FormatError } from '../../../core/formats/errors.ts';
import { toFailure } from '../../../workers/training/failure.ts';
import { TrainingDivergedError } from '../../../core/training/loss-monitor.ts';

test.each([
  ['ONNX Runtime on Linux', new Error('std::bad_alloc')],
  ['ONNX Runtime on Windows', new Error('bad allocation')],
  ["ONNX Runtime's arena", new Error('Failed to allocate memory for requested buffer of size 8589934592')],
  ['V8', new RangeError('Array buffer allocation failed')],
  ['the system', new Error('ENOMEM: not enough memory, read')],
])('the message of %s about lack of memory is not permanent and says what to do', (_, error) => {
  const fields = toFailure(error);
  expect(fields).toMatchObject({ code: 'out_of_memory', permanent: false });
  expect(fields.message).toMatch(
    /ran out of memory \(.+\), with [1-9]\d* MiB resident when last seen: use a smaller batch size/,
  );
  expect(fields.message).toContain(error.message);
});

test.each([
  [
    'a file that mentions memory',
    new FormatError({ code: 'invalid_config', file: 'config.json', message: 'has "bad_alloc"' }),
    { code: 'invalid_config', permanent: true },
  ],
  [
    'diverged training',
    new TrainingDivergedError('the loss is NaN', { step: 3, learningRate: 1, soundStep: 1 }),
    { code: 'training_diverged', permanent: true },
  ],
  [
    'a file of a model that the system cannot read',
    new FormatError({
      code: 'invalid_json',
      file: 'config.json',
      message: 'is not valid JSON',
      cause: Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' }),
    }),
    { code: 'EIO', permanent: false },
  ],
  ['another error', new Error('bad luck'), { code: 'internal_error', message: 'bad luck', permanent: false }],
])('%s keeps its code', (_, error, fields) => {
  expect(toFailure(error)).toMatchObject(fields);
});
