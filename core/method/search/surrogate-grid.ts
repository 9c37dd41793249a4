import { COPY, isSamePoint } from '../fusion/coefficients.ts';
import { fitSurrogate } from './bayesian-optimization/surrogate.ts';
import { observationsOf, type SearchRecord } from './observations.ts';
import { searchSpace } from './search-task.ts';

/** Smallest number of measured points from which the model of a search is shown. */
const LEAST_POINTS = 3;
/**
 * Largest number of measured points to which the model is fitted. The time for fitting grows with the cube of this
 * number.
 */
const MOST_POINTS = 64;
/** Number of values of α, and likewise of β, in the grid. */
const SIDE = 25;

/**
 * Predictions of a search's model at the points of a grid of fusion coefficients. They are listed row by row: α is
 * constant within a row, and β within a column.
 */
export interface SurrogateGrid {
  readonly alpha: readonly number[];
  readonly beta: readonly number[];
  /** Expected ln(loss / copy's loss) at each point of the grid. */
  readonly mean: readonly number[];
  /** Standard deviation of each prediction, without the noise of a measurement. */
  readonly deviation: readonly number[];
}

/**
 * Fits the model of a search to all points that the search has measured, and predicts the loss over the whole range of
 * fusion coefficients. The search itself proposed points by models of the fewer points measured until then.
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
