import { describe, expect, it } from 'vitest';
import {
  estimatedLoss,
  relativeLosses,
  relativeObservations,
  type SearchRecord,
} from '../../../../core/method/search/relative-losses.ts';

/** Copy has 16 rows, the two rivals 64; the first 16 are harder than the rest. */
const RECORDS: SearchRecord[] = [
  { alpha: 1, beta: 0, rows: 16, loss: 2 },
  { alpha: 1, beta: -1, rows: 16, loss: 1 },
  { alpha: 1.2, beta: -0.8, rows: 16, loss: 1.1 },
  { alpha: 1, beta: -1, rows: 64, loss: 0.5 },
  { alpha: 1.2, beta: -0.8, rows: 64, loss: 0.4 },
  { alpha: 0, beta: 0, rows: 16, loss: 100 },
];

describe('relativeLosses', () => {
  it('compares on common rows alone: worked by hand', () => {
    // The reference is (1.2, −0.8), with 1.1 / 2 of copy's loss; revert has 0.5 / 0.4 of the reference's.
    const [copy, revert, found, nothing] = relativeLosses(RECORDS);
    expect(copy).toEqual({ alpha: 1, beta: 0, value: 0, rows: 16 });
    expect(found!.value).toBeCloseTo(Math.log(0.55), 12);
    expect(found!.rows).toBe(64);
    expect(revert!.value).toBeCloseTo(Math.log(0.55 * 1.25), 12);
    expect(nothing!.value).toBeCloseTo(Math.log(50), 12);
  });

  it('does not depend on the level of the loss', () => {
    const scaled = RECORDS.map((record) => ({ ...record, loss: 7 * record.loss }));
    relativeLosses(scaled).forEach(({ value }, i) => expect(value).toBeCloseTo(relativeLosses(RECORDS)[i]!.value, 12));
  });

  it('needs copy', () => {
    expect(relativeLosses(RECORDS.slice(1))).toEqual([]);
  });

  it('leaves out what has no rows in common with the others, as two versions may leave it behind', () => {
    const stray = { alpha: 1.1, beta: -0.9, rows: 32, loss: 0.3 };
    expect(relativeLosses([...RECORDS, stray])).toEqual(relativeLosses(RECORDS));
    // On more rows than all others, but not on copy's.
    expect(relativeLosses([...RECORDS, { ...stray, rows: 128 }])).toEqual(relativeLosses(RECORDS));
    // The number of rows is not known.
    const unknown = [0, -1].map((beta) => ({ alpha: 1, beta, rows: 0, loss: 1 }));
    expect(relativeLosses(unknown)).toEqual([{ alpha: 1, beta: 0, value: 0, rows: 0 }]);
  });

  it('takes a loss of zero', () => {
    const records = [
      { alpha: 1, beta: 0, rows: 8, loss: 2 },
      { alpha: 1, beta: -1, rows: 8, loss: 0 },
    ];
    expect(relativeLosses(records)[1]!.value).toBeLessThan(-5);
    expect(relativeLosses(records).every(({ value }) => Number.isFinite(value))).toBe(true);
  });
});

describe('relativeObservations', () => {
  it('gives fewer rows more noise, and cuts off what is far worse than copy', () => {
    const [copy, , found, nothing] = relativeObservations(RECORDS);
    expect(copy).toEqual({ point: [1, 0], value: 0, noiseScale: 4 });
    expect(found!.noiseScale).toBe(1);
    expect(nothing!.value).toBe(1);
  });
});

describe('estimatedLoss', () => {
  it('is on the rows that copy has', () => {
    expect(estimatedLoss(RECORDS, { alpha: 1, beta: 0 })).toBe(2);
    expect(estimatedLoss(RECORDS, { alpha: 1, beta: -1 })).toBeCloseTo(2 * 0.55 * 1.25, 12);
    expect(estimatedLoss(RECORDS, { alpha: 0.5, beta: 0 })).toBeNull();
  });
});
