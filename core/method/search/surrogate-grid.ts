import { COPY, isSamePoint } from '../fusion/coefficients.ts';
import { fitSurrogate } from './bayesian-optimization/surrogate.ts';
import { observationsOf, type SearchRecord } from './observations.ts';
import { searchSpace } from './search-task.ts';

/** Smallest number of points that a surface is fitted to. */
const LEAST_POINTS = 3;
/** Largest number of points: fitting takes time in proportion to its cube. */
const MOST_POINTS = 64;
/** Grid size: number of values of α and of β. */
const SIDE = 25;

/** Model of a search on a grid of coefficients, row by row: α changes with the rows, β within a row. */
export interface SurrogateGrid {
  readonly alpha: readonly number[];
  readonly beta: readonly number[];
  /** Expected ln(loss / copy's loss) at each point of the grid. */
  readonly mean: readonly number[];
  /** Standard deviation of `mean`, without the noise of a measurement. */
  readonly deviation: readonly number[];
}

/**
 * Fits the model of a search to all points that the search has measured, and predicts it over the whole region of
 * coefficients. The models that proposed points during the search knew fewer of them.
 * @returns null for fewer than three points, for more than 64, and if copy was not measured
 */
export function surrogateGrid(records: readonly SearchRecord[]): SurrogateGrid | null {
  const copy = records.findIndex((record) => isSamePoint(record, COPY));
  if (copy < 0 || records.length < LEAST_POINTS || records.length > MOST_POINTS) return null;
  const observations = observationsOf(records);
  const space = searchSpace();
  const { process, mean, deviation } = fitSurrogate({ space, observations });
  const steps = Array.from({ length: SIDE }, (_, i) => i / (SIDE - 1));
  const predicted = steps.flatMap((a) => steps.map((b) => process.predict([a, b])));
  return {
    alpha: steps.map((a) => space.fromUnit([a, 0])[0]!),
    beta: steps.map((b) => space.fromUnit([0, b])[1]!),
    mean: predicted.map((point) => mean + deviation * point.mean - observations[copy]!.value),
    deviation: predicted.map(({ variance }) => deviation * Math.sqrt(variance)),
  };
}
