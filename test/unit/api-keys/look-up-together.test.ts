import { setImmediate as nextRound } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { lookUpTogether } from '../../../src/tenants/api-keys/authenticator.ts';

test('a crowd that waits for one lookup is answered a few at a time, so that others are heard meanwhile', async () => {
  const lookUp = lookUpTogether(async (names) => new Map(names.map((name) => [name, name])), 0);
  const names = Array.from({ length: 200 }, (_, index) => `name ${index}`);
  const answered: string[] = [];
  const crowd = Promise.all(names.map(async (name) => answered.push((await lookUp(name))!)));
  let [before, most] = [0, 0];
  while (answered.length < names.length) {
    await nextRound();
    most = Math.max(most, answered.length - before);
    before = answered.length;
  }
  await crowd;
  expect(answered).toEqual(names);
  // The first name is looked up alone and answered in the same round as sixteen that arrived meanwhile.
  expect(most, 'answered in one round of the event loop').toBeLessThanOrEqual(17);
});
