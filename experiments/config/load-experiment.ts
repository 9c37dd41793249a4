import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parseDocument } from 'yaml';
import { UsageError } from '../../cli/errors.ts';
import type { AdaptOptions, GateSpec, Strategy } from '../../workers/training/protocol.ts';
import { ExperimentSchema, type ExperimentFile, type StrategyEntry } from './experiment.schema.ts';
import { parseOptions, parseStrategy } from './job-options.ts';
import { expandPath } from './paths.ts';
import { problemsOf } from './problems.ts';

/** One way to adapt: the options of its jobs, and what it is run for. */
export interface StrategyConfig extends Omit<StrategyEntry, 'strategy' | 'options' | 'gate'> {
  readonly options: AdaptOptions & { readonly strategy: Strategy };
  readonly gate?: GateSpec;
}

/** A checked experiment. Its paths are absolute, and its options are named as the product names them. */
export interface Experiment extends Omit<ExperimentFile, 'strategies' | 'options' | 'gate'> {
  readonly gate: GateSpec;
  readonly strategies: readonly StrategyConfig[];
}

interface Source {
  readonly file: string;
  readonly environment: NodeJS.ProcessEnv;
}

/**
 * Reads and checks an experiment. A file may extend another one of the same folder, whose settings it then inherits.
 * @throws UsageError with a line for each problem, naming the setting, the value found and what was expected
 */
export async function loadExperiment(file: string, environment: NodeJS.ProcessEnv = process.env): Promise<Experiment> {
  const raw = parseYaml(await readFile(file, 'utf8'), file);
  if (typeof raw !== 'object' || raw === null || !('extends' in raw))
    return checkExperiment(raw, { file, environment });
  const { extends: parent, ...own } = raw;
  const isBeside = typeof parent === 'string' && path.basename(parent) === parent;
  refuse(
    file,
    isBeside ? [] : [`extends is ${JSON.stringify(parent)}, expected the name of a file in the same folder`],
  );
  const from = path.join(path.dirname(file), parent as string);
  const inherited = parseYaml(await readFile(from, 'utf8'), from) as object;
  return checkExperiment({ ...inherited, ...own }, { file, environment });
}

/** Checks the text of a file that extends no other, as {@link loadExperiment} does. */
export function parseExperiment(text: string, source: Source): Experiment {
  return checkExperiment(parseYaml(text, source.file), source);
}

function checkExperiment(given: unknown, { file, environment }: Source): Experiment {
  const raw = withEntries(given);
  refuse(file, problemsOf(ExperimentSchema, raw));
  const checked = raw as Omit<ExperimentFile, 'strategies'> & { readonly strategies: readonly StrategyEntry[] };
  const problems: string[] = [];
  const resolve = (place: string, value: string): string => {
    const expanded = expandPath(value, environment);
    if (typeof expanded !== 'string')
      problems.push(`${place} needs the environment variable ${expanded.unset}, which is not set`);
    return typeof expanded === 'string' ? path.resolve(path.dirname(file), expanded) : '';
  };
  const experiment: Experiment = {
    ...checked,
    gate: toGateSpec(checked.gate),
    base: resolve('base', checked.base),
    evolutions: checked.evolutions.map((one, i) => ({ ...one, base: resolve(`evolutions[${i}].base`, one.base) })),
    tasks: checked.tasks.map((task, i) => {
      const at = (key: 'train' | 'validation' | 'test'): string => resolve(`tasks[${i}].${key}`, task[key]);
      return { ...task, train: at('train'), validation: at('validation'), test: at('test') };
    }),
    strategies: checked.strategies.map((entry, i) =>
      toStrategy(entry, checked.options ?? {}, { place: `strategies[${i}]`, problems }),
    ),
  };
  refuse(file, [...problems, ...nameProblems(experiment)]);
  return experiment;
}

function parseYaml(text: string, file: string): unknown {
  const document = parseDocument(text);
  refuse(
    file,
    document.errors.map(({ message }) => message),
  );
  return document.toJS() as unknown;
}

/** Replaces a strategy that is only a name by an entry of that name. */
function withEntries(raw: unknown): unknown {
  if (typeof raw !== 'object' || raw === null || !('strategies' in raw) || !Array.isArray(raw.strategies)) return raw;
  return {
    ...raw,
    strategies: raw.strategies.map((entry: unknown) => (typeof entry === 'string' ? { name: entry } : entry)),
  };
}

interface Place {
  readonly place: string;
  readonly problems: string[];
}

function toStrategy(entry: StrategyEntry, common: Record<string, unknown>, { place, problems }: Place): StrategyConfig {
  const { strategy: name = entry.name, options = {}, gate, ...rest } = entry;
  const strategy = parseStrategy(name, {
    place: `${place}.${entry.strategy === undefined ? 'name' : 'strategy'}`,
    problems,
  });
  const shared = parseOptions(common, { place: 'options', problems });
  return {
    ...rest,
    ...(gate && { gate: toGateSpec(gate) }),
    options: { ...shared, ...parseOptions(options, { place: `${place}.options`, problems }), strategy },
  };
}

function toGateSpec({ max_negative_flips: maxNegativeFlips, ...rule }: ExperimentFile['gate']): GateSpec {
  return { ...rule, ...(maxNegativeFlips === undefined ? {} : { maxNegativeFlips }) };
}

/** Finds names that are given twice, and references to names that do not exist. */
function nameProblems({
  evolutions,
  tasks,
  adapters,
  strategies,
  baselines = [],
  surfaces = [],
}: Experiment): string[] {
  const names = {
    tasks: namesOf(tasks),
    evolutions: namesOf(evolutions),
    adapters: namesOf(adapters),
    strategies: namesOf(strategies),
  };
  const problems = Object.entries(names).flatMap(([key, list]) => {
    return list
      .filter((name, i) => list.indexOf(name) !== i)
      .map((name) => `${key} has the name ${name} twice, expected different names`);
  });
  const users: [string, Record<string, unknown>][] = [
    ...evolutions.map((one, i): [string, Record<string, unknown>] => [`evolutions[${i}]`, one]),
    ...adapters.map((one, i): [string, Record<string, unknown>] => [`adapters[${i}]`, one]),
    ...strategies.map((one, i): [string, Record<string, unknown>] => [`strategies[${i}]`, { ...one }]),
  ];
  for (const [place, one] of users) {
    for (const key of ['tasks', 'evolutions', 'adapters'] as const) {
      problems.push(...unknownNames(`${place}.${key}`, (one[key] ?? []) as string[], names[key]));
    }
  }
  problems.push(...unknownNames('baselines', baselines, names.strategies));
  surfaces.forEach(({ task, evolution, strategy }, i) => {
    problems.push(...unknownNames(`surfaces[${i}].task`, [task], names.tasks));
    problems.push(...unknownNames(`surfaces[${i}].evolution`, [evolution], names.evolutions));
    problems.push(...unknownNames(`surfaces[${i}].strategy`, [strategy], names.strategies));
  });
  return [...new Set(problems)];
}

function unknownNames(place: string, used: readonly string[], known: readonly string[]): string[] {
  return used
    .filter((name) => !known.includes(name))
    .map((name) => `${place} names ${name}, expected one of ${known.join(', ')}`);
}

function namesOf(list: readonly { readonly name: string }[]): string[] {
  return list.map(({ name }) => name);
}

function refuse(file: string, problems: readonly string[]): void {
  if (problems.length > 0)
    throw new UsageError(
      [`${file} cannot be used:`, ...problems.map((line) => `  ${line}`)].join('\n'),
      'invalid_config',
    );
}
