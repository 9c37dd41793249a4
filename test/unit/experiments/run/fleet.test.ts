import { expect, it } from 'vitest';
import type { BaseCache } from '../../../../core/engine/base-cache.ts';
import { KeptVersions } from '../../../../experiments/lab/kept-versions.ts';
import { Laboratory } from '../../../../experiments/lab/laboratory.ts';
import { planExperiment, type CellItem } from '../../../../experiments/plan.ts';
import type { CellRecord, ResultRecord } from '../../../../experiments/records.ts';
import { tinyExperiment } from '../support/tiny-experiment.ts';

const items = planExperiment(
  tinyExperiment((yaml) =>
    yaml
      .replace(/evolutions: .*/, 'evolutions: [{ name: v2, base: /v2 }, { name: v3, base: /v3, parent: v2 }]')
      .replace('rows: [16]', 'rows: [8, 16]')
      .replace('seeds: [1, 2]', 'seeds: [1, 2, 3, 4]')
      .replace(', seeds: [2] }', ' }'),
  ),
);
const cells = items.filter((item) => item.type === 'cell');
const job = (seed: number, evolution = 'v3', rows = 16, strategy = 'copy'): CellItem =>
  cells.find(
    (one) =>
      one.tenant.seed === seed &&
      one.evolution.name === evolution &&
      one.rows === rows &&
      one.strategy.name === strategy,
  )!;

/** A record whose search has so many points, all of them named by the loss. */
const searched = (points: number, loss: number, carriedFrom: string | null = 'v2'): Partial<CellRecord> => ({
  type: 'cell',
  carriedFrom,
  search: Array.from({ length: points }, (_, i) => ({ at: i, alpha: 1, beta: 0, rows: 8, loss, ms: 1 })),
});

function laboratory(records: readonly (readonly [CellItem, Partial<CellRecord>])[]): Laboratory {
  const found = new Map(records.map(([item, record]) => [item.key, record as ResultRecord]));
  const { signal } = new AbortController();
  const versions = new KeptVersions('/out');
  const bases = null as unknown as BaseCache;
  return new Laboratory({
    bases,
    base: '/v1',
    out: '/out',
    signal,
    items,
    versions,
    recordOf: (key) => found.get(key),
  });
}

it('a job of a fleet gets the searches of the jobs before it that differ in the tenant alone, those with most points first', () => {
  const records = [
    [job(1), searched(2, 1)],
    [job(2), searched(3, 2)],
    [job(3), searched(9, 3)],
    [job(4), searched(9, 4)],
    [job(1, 'v2'), searched(9, 5)],
    [job(1, 'v3', 8), searched(9, 6)],
    [job(1, 'v3', 16, 'tuned'), searched(9, 7)],
  ] as const;
  const losses = laboratory(records)
    .earlierSearches(job(3), 'v2')
    .map((search) => search.map(({ loss }) => loss));
  expect(losses).toEqual([
    [2, 2, 2],
    [1, 1],
  ]);
  expect(laboratory(records).earlierSearches(job(1), 'v2')).toEqual([]);
});

it('searches from another base of a chain are not handed on', () => {
  const records = [
    [job(1), searched(2, 1, null)],
    [job(2), searched(2, 2, 'v2')],
  ] as const;
  expect(laboratory(records).earlierSearches(job(3), null)[0]![0]!.loss).toBe(1);
  expect(laboratory(records).earlierSearches(job(3), null)).toHaveLength(1);
});
