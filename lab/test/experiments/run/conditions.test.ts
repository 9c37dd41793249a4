import { describe, expect, it } from 'vitest';
import type { Experiment } from '../../../experiments/config/load-experiment.ts';
import { planExperiment, type Item } from '../../../experiments/plan.ts';
import { nameOf, tenantName } from '../../../experiments/plan/tenant-spec.ts';
import type { ResultRecord, RunRecord } from '../../../experiments/records.ts';
import { requireMeasurable, requireSameConditions } from '../../../experiments/run/conditions.ts';
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

it('jobs with other jobs’ searches are known by keys of their own, and are not measured any more', () => {
  const fleet = tinyExperiment((yaml) => yaml.replace('strategy: reuse', 'strategy: reuse, fleet: true'));
  const [items, others] = [planExperiment(fleet), planExperiment(open)];
  const known = new Set(others.map(({ key }) => key));
  const own = items.filter(({ key }) => !known.has(key));
  expect(own.map((item) => item.type === 'cell' && item.strategy.name)).toEqual(['copy', 'copy']);
  expect(() => requireMeasurable(fleet, own)).toThrow('tiny cannot be measured: its strategy copy has fleet');
  expect(() => requireMeasurable(fleet, others)).not.toThrow();
});

it('jobs with options that are no more are read and not measured', () => {
  const old = tinyExperiment((yaml) =>
    yaml.replace('strategy: reuse', 'strategy: reuse, options: { search_spacing: 0.05 }'),
  );
  expect(() => requireMeasurable(old, planExperiment(old))).toThrow('its strategy copy has search_spacing');
});

it('a run is refused where the weights of a base or an evolution are others than before', () => {
  const other = run(open, { bases: [{ name: 'v2', fingerprint: 'c'.repeat(64) }] });
  expect(() => requireSameConditions(open, other, { lines: [run(open)], open: [] })).toThrow(
    'the evolution v2 has other weights (cccccccccccc) than in the runs before (bbbbbbbbbbbb); take another --out',
  );
  expect(() =>
    requireSameConditions(open, run(open), { lines: [run(open), run(open, { bases: [] })], open: [] }),
  ).not.toThrow();
  // A new evolution, and results from before fingerprints.
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
  // Results of another experiment in the same folder, and an experiment that is not blind.
  expect(() =>
    requireSameConditions(blind, moved, { lines: [run({ ...blind, name: 'other' })], open: [] }),
  ).not.toThrow();
  expect(() =>
    requireSameConditions(open, run(open, { commit: 'def5678+' }), { lines: [run(open)], open: [] }),
  ).not.toThrow();
});

// Some of the names are the beginning or the end of others.
const apart = tinyExperiment(
  (yaml) =>
    `${yaml
      .replace(/seeds: .*/, 'seeds: [1, 10, 101]')
      .replace(/tasks:\n([^]*?)adapters:/, (_, task: string) => {
        return `tasks:\n${task}${task.replace('past', 'long-past')}${task.replace('past', 'past-1')}adapters:`;
      })
      .replace(/, seeds: \[2\]/, '')}blind: true\ntenants_apart: true\n`,
);
const items = planExperiment(apart);
const nameIn = (item: Item): string => tenantName(item.tenant!);
const of = (...tenants: readonly string[]) => items.filter((item) => tenants.includes(nameIn(item)));
const [FIRST, SECOND] = ['past lora4 seed-1', 'long-past lora4 seed-1'];
/** Makes the lines that the harness writes for an item: one before each attempt at a job, and its record. */
const linesOf = (item: Item): ResultRecord[] => {
  const common = { ms: 0, at: '2026-01-01T00:00:01Z' };
  const begun = { type: 'begun', key: `begun ${item.key}`, unended: 1, ...common };
  const record = { type: item.type, key: item.key, ...nameOf(item.tenant!), ...common };
  return [...(item.type === 'cell' ? [begun] : []), record] as unknown as ResultRecord[];
};
const measured = (tenant: string, count = 1) => of(tenant).slice(0, count).flatMap(linesOf);
const elsewhere = run(apart, { machine: 'two', bases: [{ name: 'v2', fingerprint: 'c'.repeat(64) }] });
const begin = (next: RunRecord, lines: readonly ResultRecord[], open: readonly Item[]) => () =>
  requireSameConditions(apart, next, { lines, open });

describe('tenants that are measured apart', () => {
  it('a new tenant may begin on another machine and with other weights, of the same seed, too', () => {
    const whole = [run(apart), ...measured(FIRST, 99)];
    expect(begin(elsewhere, whole, of(SECOND, 'past lora4 seed-10'))).not.toThrow();
    expect(begin(elsewhere, whole, of(FIRST).slice(-1))).toThrow(`${FIRST} has begun`);
  });

  it('a tenant that has begun may not, not even with its evolution alone, and no other one is named', () => {
    const third = run(apart, { machine: 'three' });
    const lines = [run(apart), ...measured(FIRST, 99), third, ...measured(SECOND)];
    const left = [...of(SECOND).slice(1), ...of('past lora4 seed-10')];
    const refusal = begin(elsewhere, lines, left);
    expect(refusal).toThrow('machine is two, expected three');
    expect(refusal).toThrow('the evolution v2 has other weights (cccccccccccc) than in the runs before (bbbbbbbbbbbb)');
    expect(refusal).toThrow(
      `${SECOND} has begun under these other conditions; to begin it anew, remove all lines with`,
    );
    expect(refusal).not.toThrow('take another --out');
    expect(refusal).not.toThrow('expected one');
    expect(refusal).not.toThrow(/seed-10|^ {2}past /m);
    expect(begin(third, lines, left)).not.toThrow();
    expect(begin(run(apart, { machine: 'two' }), lines, left)).toThrow('machine is two, expected three');
    expect(begin({ ...elsewhere, machine: 'three' }, lines, left)).toThrow('the evolution v2 has other weights');
  });

  it.each(['past lora4 seed-1', 'long-past lora4 seed-1', 'past-1 lora4 seed-10', 'past lora4 seed-10'])(
    'the text that a refusal names for %s is in all of its lines and in no others',
    (tenant) => {
      const lines = [run(apart), ...items.flatMap(linesOf)];
      const message = messageOf(begin(elsewhere, [run(apart), ...measured(tenant)], of(tenant).slice(1)));
      const [, text = ''] = /remove all lines with "(.*)" from results\.jsonl/.exec(message)!;
      const found = lines.filter((line) => JSON.stringify(line).includes(text));
      expect(found).toEqual(of(tenant).flatMap(linesOf));
      // The evolution, the old adapter, the reference, and three jobs with two lines each.
      expect(found).toHaveLength(9);
      const rest = lines.filter((line) => !found.includes(line));
      expect(begin(elsewhere, rest, of(tenant))).not.toThrow();
    },
  );

  it('names each tenant that has begun elsewhere', () => {
    const third = run(apart, { machine: 'three' });
    const lines = [run(apart), ...measured(FIRST), third, ...measured(SECOND)];
    const refusal = begin(third, lines, [...of(FIRST).slice(1), ...of(SECOND).slice(1)]);
    expect(refusal).toThrow(`  ${FIRST} has begun`);
    expect(refusal).not.toThrow(`  ${SECOND} has begun`);
    expect(begin(elsewhere, lines, [...of(FIRST).slice(1), ...of(SECOND).slice(1)])).toThrow(
      /past lora4 seed-1 has begun[^]*long-past lora4 seed-1 has begun/,
    );
  });

  it('all of them have the same commit and engine', () => {
    const lines = [run(apart), ...measured(FIRST, 99)];
    const changed = run(apart, { commit: 'def5678', threads: 4, device: 'gpu', precision: 'f32' });
    expect(begin(changed, lines, of(SECOND))).toThrow(
      /commit is def5678[^]*device is gpu[^]*precision is f32[^]*threads is 4/,
    );
    expect(begin(run(apart, { commit: 'abc1234+' }), lines, of(SECOND))).toThrow('local changes (abc1234+)');
  });
});

function messageOf(refusal: () => void): string {
  try {
    refusal();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('nothing was refused');
}
