import { describe, expect, it } from 'vitest';
import type { Experiment } from '../../../../experiments/config/load-experiment.ts';
import { planExperiment, type Item } from '../../../../experiments/plan.ts';
import type { ResultRecord, RunRecord } from '../../../../experiments/records.ts';
import { requireSameConditions } from '../../../../experiments/run/conditions.ts';
import { tinyExperiment } from '../support/tiny-experiment.ts';

const open = tinyExperiment();
const blind = tinyExperiment((yaml) => `${yaml}blind: true\n`);

function run(config: Experiment, changes: Partial<RunRecord> = {}): RunRecord {
  const engine = { device: 'cpu', precision: 'int8', threads: 2 };
  const bases = [
    { name: null, fingerprint: 'a'.repeat(64) },
    { name: 'v2', fingerprint: 'b'.repeat(64) },
  ];
  const common = { key: 'run 1', ms: 0, at: '2026-01-01T00:00:00Z', commit: 'abc1234', machine: 'one' };
  return { type: 'run', ...common, ...engine, bases, config, ...changes };
}

it('a run is refused where the weights of a base or an evolution are others than before', () => {
  const other = run(open, { bases: [{ name: 'v2', fingerprint: 'c'.repeat(64) }] });
  expect(() => requireSameConditions(open, other, { lines: [run(open)], open: [] })).toThrow(
    'the evolution v2 has other weights (cccccccccccc) than in the runs before (bbbbbbbbbbbb); take another --out',
  );
  expect(() =>
    requireSameConditions(open, run(open), { lines: [run(open), run(open, { bases: [] })], open: [] }),
  ).not.toThrow();
  // An evolution that is new, and results that are older than fingerprints.
  const more = run(open, { bases: [...run(open).bases!, { name: 'v3', fingerprint: 'd'.repeat(64) }] });
  const { bases: _, ...old } = run(open);
  expect(() => requireSameConditions(open, more, { lines: [old, run(open)], open: [] })).not.toThrow();
});

it('a blind experiment goes on where it began and as it began, and names all that differs', () => {
  const moved = run(blind, { commit: 'def5678', machine: 'two', threads: 4, device: 'gpu', precision: 'f32' });
  const refusal = () => requireSameConditions(blind, moved, { lines: [run(blind), moved], open: [] });
  for (const text of ['commit is def5678, expected abc1234', 'machine is two', 'threads is 4', 'device is gpu'])
    expect(refusal).toThrow(text);
  expect(refusal).toThrow('precision is f32, expected int8');
  expect(() => requireSameConditions(blind, run(blind, { commit: 'abc1234+' }), { lines: [], open: [] })).toThrow(
    'local changes (abc1234+)',
  );
  expect(() => requireSameConditions(blind, run(blind), { lines: [run(blind)], open: [] })).not.toThrow();
  // The results of another experiment in the same folder, and an experiment that is not blind.
  expect(() =>
    requireSameConditions(blind, moved, { lines: [run({ ...blind, name: 'other' })], open: [] }),
  ).not.toThrow();
  expect(() =>
    requireSameConditions(open, run(open, { commit: 'def5678+' }), { lines: [run(open)], open: [] }),
  ).not.toThrow();
});

describe('where seeds are measured apart', () => {
  const apart = tinyExperiment(
    (yaml) => `${yaml.replace(/seeds: .*/, 'seeds: [1, 2]')}blind: true\nseeds_apart: true\n`,
  );
  const items = planExperiment(apart);
  const of = (seed: number) => items.filter((item) => item.type !== 'evolution' && item.tenant.seed === seed);
  const measured = (seed: number): ResultRecord => {
    const tenant = { task: 'one', adapter: 'r2', seed, old: { value: 0.5, standardError: 0.1, right: null } };
    return { type: 'tenant', key: `tenant ${seed}`, ms: 0, at: '2026-01-01T00:00:01Z', ...tenant };
  };
  const elsewhere = run(apart, { machine: 'two', bases: [{ name: 'v2', fingerprint: 'c'.repeat(64) }] });
  const begin = (next: RunRecord, lines: readonly ResultRecord[], open: readonly Item[]) => () =>
    requireSameConditions(apart, next, { lines, open });

  it('a new seed may begin on another machine and with other weights', () => {
    expect(begin(elsewhere, [run(apart), measured(1)], of(2))).not.toThrow();
  });

  it('a seed that has begun may not, and the message says how to begin it anew', () => {
    const lines = [run(apart), measured(1), run(apart, { machine: 'three' }), measured(2)];
    const refusal = begin(elsewhere, lines, of(2));
    expect(refusal).toThrow('machine is two, expected three');
    expect(refusal).toThrow('the evolution v2 has other weights (cccccccccccc) than in the runs before (bbbbbbbbbbbb)');
    expect(refusal).toThrow('to begin it anew, remove all lines with seed-2 in their key from results.jsonl');
    expect(refusal).not.toThrow('take another --out');
    expect(begin(run(apart, { machine: 'three' }), lines, of(2))).not.toThrow();
  });

  it('all of them have the same commit and engine', () => {
    const lines = [run(apart), measured(1)];
    expect(begin(run(apart, { commit: 'def5678', threads: 4 }), lines, of(2))).toThrow(
      /commit is def5678[^]*threads is 4/,
    );
  });
});
