import { expect, it } from 'vitest';
import { evolutionMs } from '../../../experiments/evolution-time.ts';
import type { ResultRecord } from '../../../experiments/records.ts';

const RECORDS = [
  { type: 'reference', evolution: 'v3' },
  { type: 'evolution', evolution: 'v2', computeMs: 4000 },
  { type: 'evolution', evolution: 'v3', from: 'v2', computeMs: 6000, direct: [{ from: null, computeMs: 9000 }] },
] as unknown as ResultRecord[];

it.each([
  ['a single adapter bears all of it', { evolution: 'v2' }, 1, 4000],
  ['a fleet shares it', { evolution: 'v2', carriedFrom: null }, 20, 200],
  ['in a chain, it is from the version before', { evolution: 'v3', carriedFrom: 'v2' }, 1, 6000],
  ['an adapter that was not ready there bears the way from the base', { evolution: 'v3', carriedFrom: null }, 20, 450],
])('computing an evolution takes time: %s', (_, cell, adapters, ms) => {
  expect(evolutionMs(RECORDS, { seed: 1, ...cell }, adapters)).toBe(ms);
});

it('where each seed has its own, a job bears that of its seed', () => {
  const records = [1, 2].map((seed) => ({ type: 'evolution', evolution: 'v2', seed, computeMs: 1000 * seed }));
  const cell = { evolution: 'v2', carriedFrom: null, seed: 2 };
  expect(evolutionMs(records as unknown as ResultRecord[], cell)).toBe(2000);
});

it('says which evolution was not measured', () => {
  expect(() => evolutionMs(RECORDS, { evolution: 'v2', seed: 1, carriedFrom: 'v1' })).toThrow(
    'no evolution v2 from v1',
  );
});
