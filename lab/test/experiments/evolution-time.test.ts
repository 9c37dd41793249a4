import { expect, it } from 'vitest';
import { evolutionMs } from '../../experiments/evolution-time.ts';
import type { ResultRecord } from '../../experiments/records.ts';

const TENANT = { task: 'past', adapter: 'lora4', seed: 1 };
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
  expect(evolutionMs(RECORDS, { ...TENANT, ...cell }, adapters)).toBe(ms);
});

it('where each tenant has its own, a job bears that of its tenant, and none that of another one', () => {
  const tenants = [
    TENANT,
    { ...TENANT, seed: 10 },
    { ...TENANT, task: 'plural' },
    { ...TENANT, adapter: 'lora8' },
    { ...TENANT, task: 'plural', seed: 10 },
  ];
  const records = tenants.map((tenant, i) => ({ type: 'evolution', evolution: 'v2', ...tenant, computeMs: 1000 + i }));
  for (const [i, tenant] of tenants.entries()) {
    const job = { evolution: 'v2', carriedFrom: null, ...tenant };
    expect(evolutionMs(records as unknown as ResultRecord[], job)).toBe(1000 + i);
    const others = records.filter((_, other) => other !== i) as unknown as ResultRecord[];
    expect(() => evolutionMs(others, job)).toThrow('no evolution v2 from the base');
  }
});

it('says which evolution was not measured', () => {
  expect(() => evolutionMs(RECORDS, { ...TENANT, evolution: 'v2', carriedFrom: 'v1' })).toThrow(
    'no evolution v2 from v1',
  );
});
