import { compareQuality, type Comparison } from '../comparisons/compare.ts';
import type { Evidence } from '../hypotheses/evidence.ts';

/** Difference of two strategies on the jobs of one evolution and number of rows. */
export interface PlacedDifference extends Omit<Comparison, 'time' | 'rows'> {
  /** Name of the evolution, or null for all jobs. */
  readonly evolution: string | null;
  /** Number of training rows, or null for all jobs. */
  readonly rows: number | null;
}

/** Computes the differences of a strategy from the others: over all jobs, then by evolution and number of rows. */
export function differencesFromOthers({ experiment, cells }: Evidence, strategy: string): PlacedDifference[] {
  const others = experiment.strategies.map(({ name }) => name).filter((name) => name !== strategy);
  const sizes = experiment.rows.toSorted((a, b) => a - b);
  const places = experiment.evolutions.flatMap(({ name }) => sizes.map((rows) => ({ evolution: name, rows })));
  return [{ evolution: null, rows: null }, ...places].flatMap((place) => {
    const here = cells.filter(
      ({ evolution, rows }) => (place.evolution ?? evolution) === evolution && (place.rows ?? rows) === rows,
    );
    return others
      .map((other) => ({ ...compareQuality(here, strategy, other), ...place }))
      .filter(({ quality }) => quality !== null);
  });
}
