import { isGenerated } from '../../../core/options/metrics.ts';
import type { ExperimentFile, TaskConfig } from './experiment.schema.ts';

const DIVIDED = ['train', 'validation', 'test'] as const;

/** Finds tasks with both or neither of files and a pool, and missing settings that drawing from a pool needs. */
export function rowProblems(file: ExperimentFile): string[] {
  const problems = file.tasks.flatMap((task, i) => {
    if (task.append_eos === true && !isGenerated(task.metric))
      return [`tasks[${i}].append_eos is given, but nothing is generated for the metric ${task.metric}; leave it out`];
    const given = DIVIDED.filter((key) => task[key] !== undefined);
    if (task.pool !== undefined)
      return given.map((key) => `tasks[${i}].${key} is given beside pool, expected one or the other`);
    return DIVIDED.filter((key) => !given.includes(key)).map((key) => `tasks[${i}].${key} is missing, or else pool`);
  });
  if (file.draws !== undefined && file.validation_rows === undefined)
    problems.push('validation_rows is missing, which draws need');
  if (file.tasks.every(({ pool }) => pool === undefined)) return problems;
  const sizes = (['validation_rows', 'test_rows'] as const).filter((key) => file[key] === undefined);
  const recipes = file.adapters.flatMap(({ rows }, i) => (rows === undefined ? [`adapters[${i}].rows`] : []));
  return [...problems, ...[...sizes, ...recipes].map((key) => `${key} is missing, which drawing from a pool needs`)];
}

/** Resolves the paths of a task without {@link rowProblems}. */
export function resolveTask(
  { name, metric, train, validation, test, pool, append_eos: appendsEos }: ExperimentFile['tasks'][number],
  resolve: (key: string, value: string) => string,
): TaskConfig {
  // The setting is left out where it is off, so that keys of results from before it stay the same.
  const task = { name, metric, ...(appendsEos === true && { append_eos: true }) };
  if (pool !== undefined) return { ...task, pool: pool.map((file, i) => resolve(`pool[${i}]`, file)) };
  return {
    ...task,
    train: resolve('train', train!),
    validation: resolve('validation', validation!),
    test: resolve('test', test!),
  };
}
