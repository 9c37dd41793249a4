import { expect, it } from 'vitest';
import type { Experiment } from '../../../../experiments/config/load-experiment.ts';
import type { RunRecord } from '../../../../experiments/records.ts';
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
  expect(() => requireSameConditions(open, other, [run(open)])).toThrow(
    'the evolution v2 has other weights (cccccccccccc) than in the runs before (bbbbbbbbbbbb); take another --out',
  );
  expect(() => requireSameConditions(open, run(open), [run(open), run(open, { bases: [] })])).not.toThrow();
  // An evolution that is new, and results that are older than fingerprints.
  const more = run(open, { bases: [...run(open).bases!, { name: 'v3', fingerprint: 'd'.repeat(64) }] });
  const { bases: _, ...old } = run(open);
  expect(() => requireSameConditions(open, more, [old, run(open)])).not.toThrow();
});

it('a blind experiment goes on where it began and as it began, and names all that differs', () => {
  const moved = run(blind, { commit: 'def5678', machine: 'two', threads: 4, device: 'gpu', precision: 'f32' });
  const refusal = () => requireSameConditions(blind, moved, [run(blind), moved]);
  for (const text of ['commit is def5678, expected abc1234', 'machine is two', 'threads is 4', 'device is gpu'])
    expect(refusal).toThrow(text);
  expect(refusal).toThrow('precision is f32, expected int8');
  expect(() => requireSameConditions(blind, run(blind, { commit: 'abc1234+' }), [])).toThrow(
    'local changes (abc1234+)',
  );
  expect(() => requireSameConditions(blind, run(blind), [run(blind)])).not.toThrow();
  // The results of another experiment in the same folder, and an experiment that is not blind.
  expect(() => requireSameConditions(blind, moved, [run({ ...blind, name: 'other' })])).not.toThrow();
  expect(() => requireSameConditions(open, run(open, { commit: 'def5678+' }), [run(open)])).not.toThrow();
});
