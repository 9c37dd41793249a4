import { expect, test } from 'vitest';
import { KeptBodies } from '../../../src/api/plugins/answers/kept-bodies.ts';

test('a body is sent for its key and its ETag only', () => {
  const bodies = new KeptBodies();
  bodies.keep('a /v1/jobs', '1', 'first');
  expect(bodies.get('a /v1/jobs', '1')).toBe('first');
  expect(bodies.get('b /v1/jobs', '1')).toBeNull();
  expect(bodies.get('a /v1/jobs', '2')).toBeNull();
  bodies.keep('a /v1/jobs', '2', 'second');
  expect(bodies.get('a /v1/jobs', '1')).toBeNull();
  expect(bodies.get('a /v1/jobs', '2')).toBe('second');
});

test('what was not used for longest is given up first, and what is too long is not kept', () => {
  const bodies = new KeptBodies();
  const body = 'x'.repeat(400_000);
  const kept = () => Array.from({ length: 60 }, (_, key) => bodies.get(String(key), 'e') !== null);
  for (let key = 0; key < 40; key++) bodies.keep(String(key), 'e', body);
  expect(kept().slice(0, 40)).toEqual(Array.from({ length: 40 }, () => true));
  expect(bodies.get('0', 'e')).toBe(body);
  for (let key = 40; key < 60; key++) bodies.keep(String(key), 'e', body);
  expect(bodies.get('0', 'e')).toBe(body);
  expect(bodies.get('1', 'e')).toBeNull();
  expect(bodies.get('59', 'e')).toBe(body);
  expect(kept().filter((is) => is).length).toBe(41);
  bodies.keep('59', 'e', 'x'.repeat(600_000));
  expect(bodies.get('59', 'e')).toBeNull();
});
