import Type from 'typebox';
import { Value } from 'typebox/value';
import { JobOptions, type GivenJobOptions } from './job-options.ts';
import { problemsOf } from './problems.ts';

type CamelCase<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : S;

/** Values of all options of a job, by their names in TypeScript (`maxSteps` for `max_steps`). */
export type JobSettings = { readonly [Name in keyof JobOptions as CamelCase<Name>]: JobOptions[Name] };

export class InvalidOptionError extends Error {
  readonly code = 'invalid_option';
  readonly badInput = true;

  constructor(problems: readonly string[]) {
    super(problems.join('; '));
    this.name = 'InvalidOptionError';
  }
}

/** Default values of a job's options, without the learning rates, whose defaults depend on the model. */
export const DEFAULT_JOB_OPTIONS = Value.Default(JobOptions, {}) as Omit<
  JobOptions,
  'learning_rate' | 'scratch_learning_rate'
>;

/** Hidden size of the model on which {@link MEASURED_RATES} were measured. */
const MEASURED_WIDTH = 192;
const MEASURED_RATES = { carried: 5e-4, fresh: 2e-3 };

/**
 * Returns the default peak learning rate for an adapter that was carried over or is fresh. The rate is lower for one
 * carried over, which already knows its task and would unlearn it at the rate that suits a fresh one. Wider models need
 * smaller steps: the power law passes through the rates measured at hidden sizes 192 and 576
 * (docs/method/regularization.md).
 */
export function defaultLearningRate(start: keyof typeof MEASURED_RATES, hiddenSize: number): number {
  return MEASURED_RATES[start] * (MEASURED_WIDTH / hiddenSize) ** 0.85;
}

/** Returns a schema in which every option of the table may be missing, for requests, experiment files and job specs. */
export function optionalJobOptions(table: Type.TObject = JobOptions) {
  return Type.Object(Type.Partial(table).properties, { additionalProperties: false });
}

/**
 * Properties of a job on which defaults of its options depend: whether it is a control, and the model's hidden size.
 */
interface JobCircumstances {
  readonly control: boolean;
  readonly hiddenSize: number;
}

/**
 * Checks the options given for a job and fills in the defaults of the others. A control gets the strategy `scratch` in
 * any case.
 * @throws InvalidOptionError naming each option, the value found and what was expected
 */
export function resolveJobOptions(given: GivenJobOptions, { control, hiddenSize }: JobCircumstances): JobSettings {
  const options = withoutUndefined(given);
  const problems = problemsOf(optionalJobOptions(), options, 'options');
  if (problems.length > 0) throw new InvalidOptionError(problems);
  const strategy = control ? 'scratch' : (options.strategy ?? 'auto');
  return camelCased({
    ...DEFAULT_JOB_OPTIONS,
    learning_rate: defaultLearningRate('carried', hiddenSize),
    scratch_learning_rate: options.learning_rate ?? defaultLearningRate('fresh', hiddenSize),
    ...options,
    strategy,
  });
}

function withoutUndefined(given: GivenJobOptions): GivenJobOptions {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** Converts an option's name to its TypeScript form: `max_steps` becomes `maxSteps`. */
export function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function camelCased(options: JobOptions): JobSettings {
  return Object.fromEntries(Object.entries(options).map(([name, value]) => [camelCase(name), value])) as JobSettings;
}
