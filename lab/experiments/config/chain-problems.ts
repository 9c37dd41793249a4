import type { EvolutionConfig } from './experiment.schema.ts';
import type { Experiment, StrategyConfig } from './experiment.ts';

/**
 * Finds problems of chains: an evolution's parent must stand before it and be measured with the same tasks, rows and
 * strategies.
 * @param experiment one without problems of names
 */
export function chainProblems({ evolutions, strategies, surfaces = [] }: Experiment): string[] {
  const problems = evolutions.flatMap((evolution, i) => {
    if (evolution.parent === undefined) return [];
    const before = evolutions.slice(0, i);
    const parent = before.find(({ name }) => name === evolution.parent);
    if (!parent) return [unknownParent(evolution, before, i)];
    return [
      ...(['tasks', 'rows'] as const).flatMap((key) =>
        beside(evolution, parent, key).map(
          (one) => `evolutions[${i}].${key} has ${one}, expected only ${key} of its parent ${parent.name}`,
        ),
      ),
      ...strategies.flatMap((strategy, s) => (runsWithout(strategy, evolution, parent) ? [missing(s, evolution)] : [])),
    ];
  });
  const chained = surfaces.filter(({ evolution }) => evolutions.some((one) => one.name === evolution && one.parent));
  return [...problems, ...chained.map((one) => `surfaces cannot show ${one.evolution}, expected one without a parent`)];
}

function unknownParent({ parent }: EvolutionConfig, before: readonly EvolutionConfig[], i: number): string {
  const names = before.map(({ name }) => name).join(', ') || 'nothing, as it is the first';
  return `evolutions[${i}].parent is ${parent}, expected an evolution that stands before it: ${names}`;
}

/** Lists the tasks, or rows, with which an evolution is measured and its parent is not. */
function beside(next: EvolutionConfig, parent: EvolutionConfig, key: 'tasks' | 'rows'): readonly (string | number)[] {
  const known: readonly (string | number)[] | undefined = parent[key];
  if (known === undefined) return [];
  const wanted: readonly (string | number)[] = next[key] ?? [`all ${key}`];
  return wanted.filter((one) => !known.includes(one));
}

function runsWithout({ evolutions }: StrategyConfig, evolution: EvolutionConfig, parent: EvolutionConfig): boolean {
  return evolutions !== undefined && evolutions.includes(evolution.name) && !evolutions.includes(parent.name);
}

function missing(strategy: number, { name, parent }: EvolutionConfig): string {
  return `strategies[${strategy}].evolutions has ${name} without its parent ${parent}, which its adapters come from`;
}
