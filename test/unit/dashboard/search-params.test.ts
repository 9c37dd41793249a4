import { expect, test } from 'vitest';
import { oneOf, severalOf, textOf } from '../../../dashboard/src/lib/search-params.ts';

const STATES = ['ready', 'failed', 'queued'] as const;

test('what an address says is taken where it can be, and left out where it cannot', () => {
  expect([textOf({ q: 'a' }, 'q'), textOf({ q: 2 }, 'q'), textOf({ q: '' }, 'q'), textOf({ q: ['a'] }, 'q')]).toEqual([
    'a',
    '2',
    undefined,
    undefined,
  ]);
  expect([oneOf({ state: 'ready' }, 'state', STATES), oneOf({ state: 'x' }, 'state', STATES)]).toEqual([
    'ready',
    undefined,
  ]);
});

test('of several words those count that are known, each once', () => {
  expect(severalOf({ state: ['failed', 'x', 'ready', 'failed'] }, 'state', STATES)).toEqual(['ready', 'failed']);
  expect(severalOf({ state: 'queued' }, 'state', STATES)).toEqual(['queued']);
  expect(severalOf({ state: { a: 1 } }, 'state', STATES)).toBeUndefined();
});
