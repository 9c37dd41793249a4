import { expect, test } from 'vitest';
import { candidateName, rungTries } from '../../../dashboard/src/pages/job/ladder/rung-words.ts';

test.each([
  ['copy', 'Copy'],
  ['fine_tune@40', 'Fine-tune, step 40'],
])('the candidate %s is %s', (id, name) => {
  expect(candidateName(id)).toBe(name);
  expect(rungTries(id.split('@')[0]!)).toBeTypeOf('string');
});
