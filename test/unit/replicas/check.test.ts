import { expect, test } from 'vitest';
import type { Completion } from '../../../src/delivery/replicas/engines/engine.ts';
import { changesSomething } from '../../../src/delivery/replicas/sync/check.ts';

/** Engine whose base model returns these completions in turn and whose adapter returns one. */
function engineOf(base: readonly Completion[], adapted: Completion) {
  let asked = 0;
  return {
    complete: (_prompt: string, adapter: string | null) =>
      Promise.resolve(adapter === null ? base[asked++ % base.length]! : adapted),
  };
}

const said = (text: string, ...logprobs: number[]): Completion => ({ text, logprobs });

test.each([
  ['another text', [said('a', -1)], said('b', -1), true],
  ['a slightly other probability', [said('a', -1)], said('a', -1.00001), true],
  ['more or fewer tokens', [said('a', -1)], said('a', -1, -2), true],
  ['the same', [said('a', -1, -2)], said('a', -1, -2), false],
  ['no more than the base model differs from itself', [said('a', -1), said('a', -1.01)], said('a', -1.015), false],
  ['more than twice of that', [said('a', -1), said('a', -1.01)], said('a', -1.03), true],
  [
    'another text where the base model says something else each time',
    [said('a', -1), said('c', -1)],
    said('b', -1),
    false,
  ],
])('%s', async (_what, base, adapted, expected) => {
  expect(await changesSomething(engineOf(base, adapted), 'acme.support@1', ['prompt'])).toBe(expected);
});

test('one prompt that an adapter changes is enough', async () => {
  const engine = {
    complete: (prompt: string, adapter: string | null) =>
      Promise.resolve(said('a', prompt === 'second' && adapter !== null ? -2 : -1)),
  };
  expect(await changesSomething(engine, 'acme.support@1', ['first'])).toBe(false);
  expect(await changesSomething(engine, 'acme.support@1', ['first', 'second'])).toBe(true);
});
