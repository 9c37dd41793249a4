import Type from 'typebox';
import { Value } from 'typebox/value';
import { JobOptions, type GivenJobOptions } from './job-options.ts';
import { problemsOf } from './problems.ts';

type CamelCase<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : S;

/** Every option with its value, by its name in TypeScript. */
export type JobSettings = { readonly [Name in keyof JobOptions as CamelCase<Name>]: JobOptions[Name] };

export class InvalidOptionError extends Error {
  readonly code = 'invalid_option';
  readonly badInput = true;

  constructor(problems: readonly string[]) {
    super(problems.join('; '));
    this.name = 'InvalidOptionError';
  }
}

/** Options with constant defaults. */
export const DEFAULT_JOB_OPTIONS = Value.Default(JobOptions, {}) as Omit<
  JobOptions,
  'learning_rate' | 'scratch_learning_rate'
>;

/** Hidden size of the model on which {@link MEASURED_RATES} were measured. */
const MEASURED_WIDTH = 192;
const MEASURED_RATES = { carried: 5e-4, fresh: 2e-3 };

/**
 * Default peak learning rate. An adapter that was carried over already knows its task, and the rate that suits training
 * from scratch would undo that. Wider models need smaller steps: the power law passes through the rates measured at
 * hidden sizes 192 and 576 (docs/method/regularization.md).
 */
export function defaultLearningRate(start: keyof typeof MEASURED_RATES, hiddenSize: number): number {
  return MEASURED_RATES[start] * (MEASURED_WIDTH / hiddenSize) ** 0.85;
}

/** Schema with every option optional, for requests, experiment files and job specs. */
export function optionalJobOptions(table: Type.TObject = JobOptions) {
  return Type.Object(Type.Partial(table).properties, { additionalProperties: false });
}

/** Facts about a job that the defaults of its options depend on. */
interface JobCircumstances {
  readonly control: boolean;
  readonly hiddenSize: number;
}

/**
 * Fills in defaults. A control always trains from scratch.
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
