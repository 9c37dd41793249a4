import { describe, expect, it } from 'vitest';
import { COPY, isSamePoint, NOTHING, REVERT, type Coefficients } from '../../../../core/method/fusion/coefficients.ts';
import { isWithinNoise, RowMeasurements } from '../../../../core/method/search/row-measurements.ts';
import { searchOrder, type SearchEvaluation } from '../../../../core/method/search/search-task.ts';
import { SyntheticSearch } from '../support/synthetic-search.ts';

/** A search on 64 rows, which it measures in this order. */
const synthetic = () => new SyntheticSearch({ best: REVERT });
const ORDER = searchOrder(1, 64);

/** The evaluation of a point on the rows from one to another. */
function evaluated(search: SyntheticSearch, point: Coefficients, [from, to]: [number, number]): SearchEvaluation {
  const lossOf = (row: number) => search.rowLoss(point, row);
  const { rowTokens } = search.task();
  const sumOf = (valueOf: (row: number) => number) => ORDER.slice(0, to).reduce((sum, row) => sum + valueOf(row), 0);
  const loss = sumOf(lossOf) / sumOf((row) => rowTokens[row]!);
  return { ...point, rows: to, loss, ms: 1, rowLosses: ORDER.slice(from, to).map(lossOf) };
}

describe('RowMeasurements', () => {
  it('measures on all rows, or on the first ones, in the order that follows from the seed', async () => {
    const search = synthetic();
    const measurements = new RowMeasurements(search.task());
    const [few] = await measurements.measure([REVERT], 16);
    const [all] = await measurements.measure([COPY]);
    expect(Array.from(few!.losses)).toEqual(ORDER.slice(0, 16).map((row) => search.rowLoss(REVERT, row)));
    expect(Array.from(all!.losses)).toEqual(ORDER.map((row) => search.rowLoss(COPY, row)));
    expect(search.history.map(({ rows, rowLosses }) => [rows, rowLosses.length])).toEqual([
      [16, 16],
      [64, 64],
    ]);
    expect(search.history[1]!.loss).toBeCloseTo(search.loss(COPY), 12);
  });

  it('measures what was compared on the first rows on the others alone', async () => {
    const search = synthetic();
    await new RowMeasurements(search.task()).measure([COPY, REVERT], 16);
    const measurements = new RowMeasurements(search.task());
    const [all] = await measurements.measure([REVERT]);
    expect(Array.from(all!.losses)).toEqual(ORDER.map((row) => search.rowLoss(REVERT, row)));
    expect(search.rowsMeasured).toBe(2 * 16 + 48);
    expect(measurements.records).toEqual(search.history.filter((one) => isSamePoint(one, REVERT)));
    expect(measurements.records.map(({ rows, rowLosses }) => [rows, rowLosses.length])).toEqual([
      [16, 16],
      [64, 48],
    ]);
    expect(measurements.records[1]!.loss).toBeCloseTo(search.loss(REVERT), 12);
  });

  it('compares on the first rows what a search has measured on all by now', async () => {
    const search = synthetic();
    const first = await new RowMeasurements(search.task()).measure([COPY], 16);
    await new RowMeasurements(search.task()).measure([COPY]);
    const measurements = new RowMeasurements(search.task());
    expect(await measurements.measure([COPY], 16)).toEqual(first);
    expect(measurements.records.map(({ rows }) => rows)).toEqual([16]);
    expect(search.rowsMeasured).toBe(64);
  });

  // Earlier versions measured points on 16, 32, … rows, one evaluation for each, and dropped some on the way.
  it('goes on from a history of several evaluations of a point', async () => {
    const search = synthetic();
    search.history.push(
      ...[COPY, REVERT, NOTHING].map((point) => evaluated(search, point, [0, 16])),
      ...[COPY, REVERT].map((point) => evaluated(search, point, [16, 32])),
      evaluated(search, REVERT, [32, 64]),
    );
    const measurements = new RowMeasurements(search.task());
    const points = [REVERT, COPY, NOTHING];
    for (const point of points) {
      const [all] = await measurements.measure([point]);
      expect(Array.from(all!.losses)).toEqual(ORDER.map((row) => search.rowLoss(point, row)));
    }
    expect(search.rowsMeasured).toBe(32 + 48);
    expect(search.history.slice(6).map(({ rows, rowLosses }) => [rows, rowLosses.length])).toEqual([
      [64, 32],
      [64, 48],
    ]);
    for (const [i, point] of [COPY, NOTHING].entries())
      expect(search.history[6 + i]!.loss).toBeCloseTo(search.loss(point), 12);
  });

  it('measures points of which unequal numbers of rows are known in one pass', async () => {
    const search = synthetic();
    search.history.push(evaluated(search, COPY, [0, 32]));
    const measured = await new RowMeasurements(search.task()).measure([COPY, REVERT]);
    for (const { point, losses } of measured)
      expect(Array.from(losses)).toEqual(ORDER.map((row) => search.rowLoss(point, row)));
    expect(search.history.slice(1).map(({ rows, rowLosses }) => [rows, rowLosses.length])).toEqual([
      [64, 64],
      [64, 64],
    ]);
  });
});

describe('isWithinNoise', () => {
  const measured = (losses: readonly number[]) => ({ point: COPY, losses: Float64Array.from(losses) });

  it('allows one standard error of the difference: worked by hand', () => {
    const best = measured([1, 5, 2, 8]);
    const tokens = [1, 1, 1, 1];
    // Differences 0.3, −0.1, 0.3, −0.1: mean 0.1, standard error 0.2 · √(4 / 3) / √4 = 0.11547.
    expect(isWithinNoise(measured([1.3, 4.9, 2.3, 7.9]), best, tokens)).toBe(true);
    // 0.05 more in every row: mean 0.15, the same error.
    expect(isWithinNoise(measured([1.35, 4.95, 2.35, 7.95]), best, tokens)).toBe(false);
    expect(isWithinNoise(best, best, tokens)).toBe(true);
  });

  it('knows no error of one row', () => {
    expect(isWithinNoise(measured([9]), measured([1]), [1])).toBe(true);
  });
});
