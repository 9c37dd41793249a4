import { InvalidArgumentError, Option, type Command } from 'commander';
import type Type from 'typebox';
import { Value } from 'typebox/value';
import { JobOptions, type GivenJobOptions } from '../../core/options/job-options.ts';
import { problemsOf } from '../../core/options/problems.ts';

/** The parts of an option's schema that its flag is made from. */
interface OptionSchema {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly default?: string | number;
  readonly description: string;
}

/**
 * Adds a flag for every job option: `max_steps` becomes `--max-steps`.
 * @param table the job options
 * @param except options that the command has a flag for already
 */
export function addJobOptions(
  command: Command,
  { table = JobOptions, except = [] }: { readonly table?: Type.TObject; readonly except?: readonly string[] } = {},
): Command {
  for (const [name, schema] of Object.entries(table.properties)) {
    if (!except.includes(name)) command.addOption(toFlag(name, schema));
  }
  return command;
}

/** Returns the job options among a command's parsed flags; flags that were not given are left out. */
export function givenJobOptions(flags: object, table: Type.TObject = JobOptions): GivenJobOptions {
  const values = new Map(Object.entries(flags));
  const given = Object.keys(table.properties).map((name) => [name, values.get(camelCase(name)) as unknown]);
  return Object.fromEntries(given.filter(([, value]) => value !== undefined)) as GivenJobOptions;
}

function toFlag(name: string, schema: Type.TSchema): Option {
  const { type, enum: choices, default: fallback, description } = schema as unknown as OptionSchema;
  const placeholder = choices ? 'name' : type === 'integer' ? 'n' : 'x';
  const text = description.replaceAll('`', '');
  // The value stays undefined: a job completes its options itself.
  const option = new Option(
    `--${name.replaceAll('_', '-')} <${placeholder}>`,
    fallback === undefined ? text : `${text} (default: ${fallback})`,
  );
  return choices ? option.choices(choices) : option.argParser((given) => parseNumber(given, schema));
}

function parseNumber(text: string, schema: Type.TSchema): number {
  const value = text.trim() === '' ? NaN : Number(text);
  if (Value.Check(schema, value)) return value as number;
  const [problem = ''] = problemsOf(schema, Number.isNaN(value) ? text : value, 'it');
  throw new InvalidArgumentError(`${problem.replace(/^it is .*, expected/, 'expected')}, found "${text}".`);
}

function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
