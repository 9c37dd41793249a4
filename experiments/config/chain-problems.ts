import type { EvolutionConfig } from './experiment.schema.ts';
import type { Experiment, StrategyConfig } from './experiment.ts';

/**
 * Finds what a chain of evolutions lacks: a parent that is measured before, and with everything that is carried over from it.
 * @param experiment one whose names are known to be right
 */
export function chainProblems({ evolutions, strategies, surfaces = [] }: Experiment): string[] {
  const problems = evolutions.flatMap((evolution, i) => {
    if (evolution.parent === undefined) return [];
    const before = evolutions.slice(0, i);
    const parent = before.find(({ name }) => name === evolution.parent);
    if (!parent) return [unknownParent(evolution, before, i)];
    return [
      ...tasksBeside(evolution, parent).map(
        (task) => `evolutions[${i}].tasks has ${task}, expected only tasks of its parent ${parent.name}`,
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

function tasksBeside(evolution: EvolutionConfig, { tasks: known }: EvolutionConfig): string[] {
  if (known === undefined) return [];
  return evolution.tasks?.filter((task) => !known.includes(task)) ?? ['all tasks'];
}

function runsWithout({ evolutions }: StrategyConfig, evolution: EvolutionConfig, parent: EvolutionConfig): boolean {
  return evolutions !== undefined && evolutions.includes(evolution.name) && !evolutions.includes(parent.name);
}

function missing(strategy: number, { name, parent }: EvolutionConfig): string {
  return `strategies[${strategy}].evolutions has ${name} without its parent ${parent}, which its adapters come from`;
}
