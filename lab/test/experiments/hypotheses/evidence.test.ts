import { expect, it } from 'vitest';
import {
  evidenceOf,
  withCopies,
  withEvolution,
  withoutLooks,
} from '../../../experiments/report/hypotheses/evidence.ts';
import { compareTogether } from '../../../experiments/report/comparisons/compare.ts';
import type { CellRecord, ResultRecord } from '../../../experiments/records.ts';
import { simulateResults, type World } from '../support/simulated-results.ts';

const world: World = {
  strategies: { auto: { loss: 0.1, gain: 0.1, seconds: 10 }, paper: { loss: 0.1, gain: 0.1, seconds: 10, failed: 1 } },
  copy: { loss: 0.3, gain: 0 },
  evolutionSeconds: 40,
};
const size = {
  seeds: 2,
  testRows: 20,
  evolutions: ['neutral', 'after-neutral'],
  rows: [64],
  settings: 'baselines: []',
};
const { experiment, records, evidence } = simulateResults(world, size, 1);
const cellsOf = (strategy: string, cells = evidence.cells) => cells.filter((cell) => cell.strategy === strategy);

it('counts a failed job as not ready, and its tenant as left with the copy', () => {
  for (const cell of cellsOf('paper')) {
    expect(cell).toMatchObject({ state: 'not_ready', readyMs: null, first: null, final: evidence.copy(cell) });
    expect(cell.final).not.toBeNull();
  }
  // The failed job is part of every comparison: none of its pairs is dropped.
  expect(compareTogether(evidence.cells, 'auto', 'paper')).toMatchObject({
    pairs: 4,
    unpaired: 0,
    time: { ready: { strategy: 4 } },
  });
});

it('puts the copy in the place of a missing candidate and of nothing else', () => {
  const [first, ...rest] = evidence.cells;
  const missing = { ...evidence, cells: [{ ...first!, final: null }, ...rest] };
  expect(withCopies(missing)).toEqual([{ ...first!, final: evidence.copy(first!) }, ...rest]);
});

it('adds to one strategy what each job bears of its evolution, and takes off the looks of all', () => {
  const added = withEvolution(evidence, { strategy: 'auto', adapters: 20 });
  cellsOf('auto', added).forEach((cell, i) => {
    const before = cellsOf('auto')[i]!;
    expect([cell.readyMs, cell.elapsedMs]).toEqual([before.readyMs! + 2000, before.elapsedMs + 2000]);
  });
  expect(cellsOf('paper', added)).toEqual(cellsOf('paper'));
  withoutLooks(evidence.cells).forEach((cell, i) => {
    const before = evidence.cells[i]!;
    expect(cell.elapsedMs).toBe(before.elapsedMs - (before.phases?.evaluate ?? 0));
  });
});

it('bears the times of the tenant’s own evolutions where tenants are measured apart, alone and in a fleet', () => {
  const tasks = ['product-reviews', 'home-commands'];
  const apart = simulateResults(world, { ...size, tasks, settings: 'baselines: []\ntenants_apart: true' }, 1);
  const secondsOf = ({ task, seed }: { readonly task: string; readonly seed: number }): number =>
    seed - 100 + (task === 'home-commands' ? 10 : 0);
  // One tenant was ready on the previous version, so the fleet needs both differences.
  const isReady = (record: CellRecord): boolean => record.task === 'product-reviews' && record.seed === 101;
  const changed = apart.records.map((record): ResultRecord => {
    const isNext = 'evolution' in record && record.evolution === 'after-neutral';
    if (record.type === 'cell' && isNext) return { ...record, carriedFrom: isReady(record) ? 'neutral' : null };
    if (record.type !== 'evolution') return record;
    const { task = '', seed = 0 } = record;
    const seconds = secondsOf({ task, seed });
    const chain = { from: 'neutral', direct: [{ from: null, drift: 0.01, computeMs: 100_000 * seconds }] };
    return { ...record, computeMs: 1000 * seconds, ...(isNext && chain) };
  });
  const own = evidenceOf(apart.experiment, changed);
  const borne = (adapters: number) =>
    withEvolution(own, { strategy: 'auto', adapters }).flatMap((cell, i) => {
      const ms = Math.round(cell.elapsedMs - own.cells[i]!.elapsedMs);
      return cell.strategy === 'auto' ? [[cell, ms / secondsOf(cell)] as const] : [];
    });
  expect(borne(20)).toHaveLength(8);
  for (const [{ evolution }, perSecond] of borne(20))
    expect(perSecond).toBe(evolution === 'after-neutral' ? (1000 + 100_000) / 20 : 1000 / 20);
  for (const [cell, perSecond] of borne(1))
    expect(perSecond).toBe(cell.evolution === 'after-neutral' && !isReady(cell) ? 100_000 : 1000);
});

it('compares with the tenant’s own adapter in a chain, too, and adds the time of the way that a job has taken', () => {
  const chained = records.map((record): ResultRecord => {
    if (record.type === 'evolution' && record.evolution === 'after-neutral')
      return { ...record, from: 'neutral', computeMs: 6000, direct: [{ from: null, drift: 0.01, computeMs: 9000 }] };
    const isNext = record.type === 'cell' && record.evolution === 'after-neutral';
    return isNext ? { ...record, carriedFrom: record.seed === 101 ? 'neutral' : null } : record;
  });
  const chain = evidenceOf(experiment, chained);
  const [neutral, next, other] = cellsOf('auto', chain.cells).toSorted(
    (a, b) => a.seed - b.seed || (a.evolution < b.evolution ? 1 : -1),
  );
  expect([neutral!.evolution, next!.evolution, next!.carriedFrom, other!.seed]).toEqual([
    'neutral',
    'after-neutral',
    'neutral',
    102,
  ]);
  expect(chain.old(next!)).toEqual(chain.old(neutral!));
  expect(chain.copy(next!)).not.toEqual(chain.copy(neutral!));
  const bears = (cell: CellRecord) =>
    withEvolution({ ...chain, cells: [cell] }, { strategy: 'auto', adapters: 20 })[0]!.elapsedMs - cell.elapsedMs;
  const direct = chain.cells.find(
    (cell) => cell.seed === 102 && cell.strategy === 'auto' && cell.evolution === 'after-neutral',
  )!;
  expect([neutral!, next!, direct].map((cell) => Math.round(bears(cell)))).toEqual([2000, 300, 450]);
  // The fleet needs both differences, and each of its jobs bears a twentieth of their sum. A single adapter bears its
  // own.
  const all = (adapters: number) =>
    cellsOf('auto', withEvolution(chain, { strategy: 'auto', adapters })).map((cell) => {
      const before = cellsOf('auto', chain.cells).find(
        ({ evolution, seed }) => evolution === cell.evolution && seed === cell.seed,
      )!;
      return Math.round(cell.elapsedMs - before.elapsedMs);
    });
  expect(all(20).toSorted((a, b) => a - b)).toEqual([750, 750, 2000, 2000]);
  expect(all(1).toSorted((a, b) => a - b)).toEqual([6000, 9000, 40000, 40000]);
});
