import type { TopLevelSpec } from 'vega-lite';
import { COLORS } from '../../../bench/chart.ts';
import type { PlacedDifference } from '../tables/differences.ts';

interface Point {
  readonly other: string;
  readonly place: string;
  /** Difference in points. */
  readonly difference: number;
  readonly low: number | null;
  readonly high: number | null;
  readonly isOverall: boolean;
}

/** Draws the differences of a strategy from the others with 95 % intervals: a panel for each, a line for each place. */
export function forestChart(differences: readonly PlacedDifference[], notWorseBy: number): TopLevelSpec {
  const values = forestPoints(differences);
  const places = [...new Set(values.map(({ place }) => place))];
  const others = [...new Set(values.map(({ other }) => other))];
  const axis = { labelLimit: 0 };
  const y = { field: 'place', type: 'nominal' as const, title: null, axis, scale: { domain: places } };
  const x = { field: 'low', type: 'quantitative' as const, title: 'points on test rows' };
  return {
    data: { values },
    facet: {
      field: 'other',
      type: 'nominal',
      title: null,
      sort: others,
      header: { labelExpr: "'against ' + datum.value" },
    },
    columns: 3,
    spec: {
      width: 220,
      height: { step: 20 },
      layer: [
        { mark: { type: 'rule', color: COLORS.ink }, encoding: { x: { datum: 0 } } },
        { mark: { type: 'rule', color: COLORS.goal, strokeDash: [5, 3] }, encoding: { x: { datum: -notWorseBy } } },
        { mark: { type: 'rule', strokeWidth: 2, color: COLORS.readapt }, encoding: { y, x, x2: { field: 'high' } } },
        {
          mark: { type: 'point', filled: true, opacity: 1, color: COLORS.readapt },
          encoding: {
            y,
            x: { field: 'difference', type: 'quantitative' },
            size: { condition: { test: 'datum.isOverall', value: 120 }, value: 50 },
            shape: { condition: { test: 'datum.isOverall', value: 'diamond' }, value: 'circle' },
          },
        },
      ],
    },
  };
}

function forestPoints(differences: readonly PlacedDifference[]): Point[] {
  return differences.map(({ other, evolution, rows, quality }) => ({
    other,
    place: evolution === null ? 'all' : `${evolution}, ${rows} rows`,
    difference: 100 * quality!.mean,
    low: quality!.interval ? 100 * quality!.interval[0] : null,
    high: quality!.interval ? 100 * quality!.interval[1] : null,
    isOverall: evolution === null,
  }));
}
