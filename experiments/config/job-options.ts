import { optionProblem, resolveOptions } from '../../core/adaptation/job-options.ts';
import { STRATEGIES, type AdaptOptions, type Strategy } from '../../workers/training/protocol.ts';

interface Place {
  readonly place: string;
  /** Gets a line for each problem. */
  readonly problems: string[];
}

/** The product's options with their defaults, which say of what type each is. The width decides no more than a rate. */
const KNOWN = resolveOptions({}, { control: false, hiddenSize: 192 }) as Readonly<Record<string, unknown>>;

/** Options by their names in snake case, as the product takes them. */
export function parseOptions(given: Readonly<Record<string, unknown>>, { place, problems }: Place): AdaptOptions {
  const entries = Object.entries(given).map(([key, value]) => {
    const name = key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    const problem = problemOf(name, value);
    if (problem !== null) problems.push(`${place}.${key} ${problem}`);
    return [name, value];
  });
  return Object.fromEntries(entries) as AdaptOptions;
}

function problemOf(name: string, value: unknown): string | null {
  const legal = Object.keys(KNOWN).filter((key) => key !== 'strategy');
  if (!legal.includes(name)) return `is not known, expected ${legal.map(snakeCase).join(', ')}`;
  const fallback = KNOWN[name];
  if (fallback === null || typeof value === typeof fallback) return optionProblem(name, value);
  return `is ${JSON.stringify(value)}, expected a ${typeof fallback}`;
}

export function parseStrategy(name: string, { place, problems }: Place): Strategy {
  const strategy = STRATEGIES.find((known) => known === name);
  if (!strategy) problems.push(`${place} is ${name}, expected ${STRATEGIES.join(', ')}`);
  return strategy ?? STRATEGIES[0];
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
