import type { Coefficients } from './coefficients.ts';
import { coefficientsOf, groupingOf, type GroupedCoefficients } from './grouping.ts';
import type { GroupingName } from '../../options/job-options.ts';

/** Coefficients of each group of a named grouping. Plain JSON. */
export interface CoefficientGroups {
  readonly grouping: GroupingName;
  /** By group. */
  readonly values: Readonly<Record<string, Coefficients>>;
}

export function toCoefficientGroups(grouping: GroupingName, { values }: GroupedCoefficients): CoefficientGroups {
  return { grouping, values: Object.fromEntries(values) };
}

/** @param modules of the whole model */
export function fromCoefficientGroups(
  { grouping, values }: CoefficientGroups,
  modules: Iterable<string>,
): GroupedCoefficients {
  return { grouping: groupingOf(grouping, modules), values: new Map(Object.entries(values)) };
}

/** Means over the adapted modules, each of which counts once. */
export function meanCoefficients(coefficients: GroupedCoefficients, modules: Iterable<string>): Coefficients {
  const pairs = [...modules].map((module) => coefficientsOf(module, coefficients));
  const mean = (name: keyof Coefficients) => pairs.reduce((sum, pair) => sum + pair[name], 0) / pairs.length;
  return { alpha: mean('alpha'), beta: mean('beta') };
}

/** The pair that all groups have, or null where they differ. */
export function commonPair({ values }: GroupedCoefficients): Coefficients | null {
  const [first, ...others] = values.values();
  return first && others.every(({ alpha, beta }) => alpha === first.alpha && beta === first.beta) ? first : null;
}
