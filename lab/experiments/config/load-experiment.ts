import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parseDocument } from 'yaml';
import { UsageError } from '../../../cli/process/errors.ts';
import { STRATEGIES } from '../../../core/options/job-options.ts';
import { problemsOf } from '../../../core/options/problems.ts';
import type { Experiment } from './experiment.ts';
import { experimentSchema, type ExperimentFile } from './experiment.schema.ts';
import { chainProblems } from './chain-problems.ts';
import { nameProblems } from './name-problems.ts';
import { expandPath, placeProblems } from './paths.ts';
import { resolveTask, rowProblems } from './row-files.ts';

export type { Experiment, StrategyConfig } from './experiment.ts';

interface Source {
  readonly file: string;
  readonly environment: NodeJS.ProcessEnv;
}

/**
 * Reads and checks an experiment. A file may extend another file of the same folder and inherits its settings.
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

/** Parses and checks the text of a file without `extends`. @throws UsageError like {@link loadExperiment} */
export function parseExperiment(text: string, source: Source): Experiment {
  return checkExperiment(parseYaml(text, source.file), source);
}

function checkExperiment(given: unknown, { file, environment }: Source): Experiment {
  const raw = withEntries(given);
  refuse(file, problemsOf(experimentSchema(), raw));
  const checked = raw as ExperimentFile;
  refuse(file, rowProblems(checked));
  const problems: string[] = [];
  const resolve = (place: string, value: string): string => {
    const expanded = expandPath(value, environment);
    if (typeof expanded !== 'string')
      problems.push(`${place} needs the environment variable ${expanded.unset}, which is not set`);
    return typeof expanded === 'string' ? path.resolve(path.dirname(file), expanded) : '';
  };
  const experiment: Experiment = {
    ...checked,
    base: resolve('base', checked.base),
    evolutions: checked.evolutions.map((one, i) => ({ ...one, base: resolve(`evolutions[${i}].base`, one.base) })),
    tasks: checked.tasks.map((task, i) => resolveTask(task, (key, value) => resolve(`tasks[${i}].${key}`, value))),
    strategies: checked.strategies.map(({ strategy, options, ...entry }, i) => {
      const named = strategy ?? STRATEGIES.find((known) => known === entry.name);
      if (!named) problems.push(`strategies[${i}].name is "${entry.name}", expected ${STRATEGIES.join(', ')}`);
      return { ...entry, options: { ...checked.options, ...options, strategy: named ?? 'auto' } };
    }),
  };
  refuse(file, [...problems, ...nameProblems(experiment), ...placeProblems(experiment)]);
  refuse(file, chainProblems(experiment));
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

/** Replaces each strategy given as a name by an entry with that name. */
function withEntries(raw: unknown): unknown {
  if (typeof raw !== 'object' || raw === null || !('strategies' in raw) || !Array.isArray(raw.strategies)) return raw;
  return {
    ...raw,
    strategies: raw.strategies.map((entry: unknown) => (typeof entry === 'string' ? { name: entry } : entry)),
  };
}

function refuse(file: string, problems: readonly string[]): void {
  if (problems.length > 0)
    throw new UsageError(
      [`${file} cannot be used:`, ...problems.map((line) => `  ${line}`)].join('\n'),
      'invalid_config',
    );
}
