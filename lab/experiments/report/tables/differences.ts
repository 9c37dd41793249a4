import { compareQuality, type Comparison } from '../comparisons/compare.ts';
import type { Evidence } from '../hypotheses/evidence.ts';

/** How much better one strategy is than another on the jobs of one evolution and number of rows. */
export interface PlacedDifference extends Omit<Comparison, 'time' | 'rows'> {
  /** Null for all together. */
  readonly evolution: string | null;
  readonly rows: number | null;
}

/** The differences of one strategy from each other one: all jobs together first, then those of each evolution and number of rows. */
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
