import { describe, expect, it } from 'vitest';
import { checkJob, gateChecks, type CheckedJob } from '../../experiments/report/gate-check.ts';
import type { CellRecord } from '../../experiments/records.ts';
import { tinyExperiment } from './support/tiny-experiment.ts';

const experiment = tinyExperiment((yaml) =>
  yaml
    .replace('{ kind: absolute, target: 1 }', '{ kind: relative, margin: 0.05 }')
    .replace(
      'name: copy, strategy: reuse',
      'name: copy, strategy: reuse, gate: { kind: relative, margin: 0.05, on_inconclusive: publish }',
    ),
);

/** Makes test rows of which the first ones are wrong. */
const wrong = (count: number, rows = 400): string => '0'.repeat(count) + '1'.repeat(rows - count);

function cell(strategy: string, { first, final }: { first?: string; final?: string }): CellRecord {
  const score = (right?: string) => (right === undefined ? null : { value: 0, standardError: 0, right });
  return { task: 'past', strategy, first: score(first), final: score(final) } as Partial<CellRecord> as CellRecord;
}

const check = (strategy: string, scores: Parameters<typeof cell>[1]): CheckedJob =>
  checkJob(experiment, cell(strategy, scores), wrong(0))!;

describe('what a gate lets through', () => {
  it('is below the margin if more test rows are lost than it allows, and clearly so if the interval is', () => {
    const published = (lost: number) => check('scratch', { first: wrong(lost), final: wrong(lost) }).published!;
    expect(published(20)).toEqual({ difference: -0.05, isBelow: false, isClearlyBelow: false });
    expect(published(21)).toMatchObject({ isBelow: true, isClearlyBelow: false });
    // Of 400 rows without a gain, 33 lost ones have an upper bound of −5.94 % by Tango's interval, and 27 one of −4.68
    // %.
    expect(published(27)).toMatchObject({ isBelow: true, isClearlyBelow: false });
    expect(published(33)).toMatchObject({ isBelow: true, isClearlyBelow: true });
  });

  it('is compared with the old version row by row', () => {
    const old = wrong(100);
    // Of the rows that were wrong, 40 are right; of those that were right, 60 are wrong.
    const now = '1'.repeat(40) + '0'.repeat(120) + '1'.repeat(240);
    const checked = checkJob(experiment, cell('scratch', { first: now, final: now }), old)!;
    expect(checked.published!.difference).toBeCloseTo(-20 / 400);
    expect(checked.held).toBeNull();
  });

  it('does not count candidates that were kept back, which are shown beside it', () => {
    const jobs = [
      check('scratch', { first: wrong(8), final: wrong(8) }),
      check('scratch', { first: wrong(40), final: wrong(40) }),
      check('scratch', { final: wrong(40) }),
      check('scratch', { final: wrong(4) }),
      check('scratch', {}),
      check('copy', { first: wrong(40), final: wrong(40) }),
    ];
    const checks = gateChecks(jobs);
    expect(checks.map(({ name, holds }) => [name, holds])).toEqual([
      ['scratch', true],
      ['copy', false],
      ['past', true],
      ['past', false],
      ['all', true],
      ['all', false],
    ]);
    expect(checks[0]).toMatchObject({ margin: 0.05, jobs: 5, published: 2, below: 1, held: 2, heldBelow: 1 });
    expect(checks[0]!.difference).toBeCloseTo(-0.06);
    // The interval of Clopper and Pearson for one of five.
    expect(checks[0]!.interval[0]).toBeCloseTo(0.00505, 5);
    expect(checks[0]!.interval[1]).toBeCloseTo(0.71642, 5);
    expect(checks[1]).toMatchObject({ jobs: 1, published: 1, below: 1 });
    expect(checks[1]!.interval[1]).toBe(1);
  });

  it('is asked only of gates with a margin and of metrics that judge rows', () => {
    const absolute = tinyExperiment();
    expect(checkJob(absolute, cell('scratch', { first: wrong(0) }), wrong(0))).toBeNull();
    expect(checkJob(experiment, cell('scratch', { first: wrong(0) }), null)).toBeNull();
    expect(gateChecks([])).toEqual([]);
  });
});
