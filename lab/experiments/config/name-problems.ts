import type { Experiment } from './experiment.ts';

type Names = Readonly<Record<'tasks' | 'evolutions' | 'adapters' | 'strategies', readonly string[]>>;

/** Finds names that are given twice, and references to names that do not exist. */
export function nameProblems(experiment: Experiment): string[] {
  const names: Names = {
    tasks: namesOf(experiment.tasks),
    evolutions: namesOf(experiment.evolutions),
    adapters: namesOf(experiment.adapters),
    strategies: namesOf(experiment.strategies),
  };
  const problems = [
    ...repeatedNames(names),
    ...narrowingProblems(experiment, names),
    ...sizeProblems(experiment),
    ...unknownNames('baselines', experiment.baselines, names.strategies),
    ...comparisonProblems(experiment, names),
    ...surfaceProblems(experiment, names),
  ];
  return [...new Set(problems)];
}

function repeatedNames(names: Names): string[] {
  return Object.entries(names).flatMap(([key, list]) =>
    list
      .filter((name, i) => list.indexOf(name) !== i)
      .map((name) => `${key} has the name ${name} twice, expected different names`),
  );
}

/** Finds unknown names in the `tasks`, `evolutions` and `adapters` of evolutions, recipes and strategies. */
function narrowingProblems({ evolutions, adapters, strategies }: Experiment, names: Names): string[] {
  const users: [string, Record<string, unknown>][] = [
    ...evolutions.map((one, i): [string, Record<string, unknown>] => [`evolutions[${i}]`, one]),
    ...adapters.map((one, i): [string, Record<string, unknown>] => [`adapters[${i}]`, one]),
    ...strategies.map((one, i): [string, Record<string, unknown>] => [`strategies[${i}]`, { ...one }]),
  ];
  return users.flatMap(([place, one]) =>
    (['tasks', 'evolutions', 'adapters'] as const).flatMap((key) =>
      unknownNames(`${place}.${key}`, one[key] as string[] | undefined, names[key]),
    ),
  );
}

function sizeProblems({ evolutions, strategies, rows }: Experiment): string[] {
  return [
    ...evolutions.flatMap((evolution, i) => unknownNames(`evolutions[${i}].rows`, evolution.rows, rows)),
    ...strategies.flatMap(({ options_by_rows: bySize = {} }, i) =>
      unknownNames(`strategies[${i}].options_by_rows`, Object.keys(bySize).map(Number), rows),
    ),
  ];
}

function comparisonProblems({ comparisons = [] }: Experiment, { strategies }: Names): string[] {
  return comparisons.flatMap((one, i) => [
    ...unknownNames(`comparisons[${i}].strategy`, [one.strategy], strategies),
    ...unknownNames(`comparisons[${i}].with`, [one.with], strategies),
  ]);
}

function surfaceProblems({ surfaces = [] }: Experiment, names: Names): string[] {
  return surfaces.flatMap(({ task, evolution, strategy }, i) => [
    ...unknownNames(`surfaces[${i}].task`, [task], names.tasks),
    ...unknownNames(`surfaces[${i}].evolution`, [evolution], names.evolutions),
    ...unknownNames(`surfaces[${i}].strategy`, [strategy], names.strategies),
  ]);
}

function unknownNames<T extends string | number>(
  place: string,
  used: readonly T[] | undefined,
  known: readonly T[],
): string[] {
  return (used ?? [])
    .filter((name) => !known.includes(name))
    .map((name) => `${place} names ${name}, expected one of ${known.join(', ')}`);
}

function namesOf(list: readonly { readonly name: string }[]): string[] {
  return list.map(({ name }) => name);
}
