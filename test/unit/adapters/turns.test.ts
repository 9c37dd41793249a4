import { expect, it } from 'vitest';
import { createTurns } from '../../../src/fleet/adapters/inspection/turns.ts';

/** Creates works that end on command, and records the order of their starts. */
function makeWorks(atOnce: number) {
  const inTurn = createTurns(atOnce);
  const started: string[] = [];
  const ends = new Map<string, () => void>();
  return {
    started,
    add: (owner: string, name: string) =>
      inTurn(owner, () => {
        started.push(name);
        return new Promise<void>((resolve) => ends.set(name, resolve));
      }),
    async end(name: string) {
      ends.get(name)!();
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

it('so many run at once, one of each owner, and owners take turns', async () => {
  const works = makeWorks(2);
  const all = ['a1', 'a2', 'a3', 'b1', 'c1', 'c2'].map((name) => works.add(name[0]!, name));
  await new Promise((resolve) => setImmediate(resolve));
  expect(works.started).toEqual(['a1', 'b1']);
  await works.end('b1');
  expect(works.started).toEqual(['a1', 'b1', 'c1']);
  await works.end('a1');
  expect(works.started).toEqual(['a1', 'b1', 'c1', 'a2']);
  await works.end('c1');
  await works.end('a2');
  expect(works.started.slice(4).sort()).toEqual(['a3', 'c2']);
  await works.end('a3');
  await works.end('c2');
  await Promise.all(all);
});

it('a work that fails ends its turn', async () => {
  const inTurn = createTurns(1);
  await expect(inTurn('a', () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  expect(await inTurn('a', () => Promise.resolve(7))).toBe(7);
});

it('an owner with too many waiting works is refused, and others are not', async () => {
  const works = makeWorks(1);
  const all = Array.from({ length: 65 }, (_, i) => works.add('a', `a${i}`));
  await expect(works.add('a', 'more')).rejects.toMatchObject({
    status: 429,
    code: 'too_many_inspections',
    details: { retry_after_ms: 1000 },
  });
  all.push(works.add('b', 'b0'));
  await works.end('a0');
  await works.end('a1');
  expect(works.started).toEqual(['a0', 'a1', 'b0']);
  await works.end('b0');
  for (let i = 2; i < 65; i++) await works.end(`a${i}`);
  await Promise.all(all);
});
