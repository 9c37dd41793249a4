import { InvalidArgumentError, Option } from 'commander';
import type Type from 'typebox';
import { Value } from 'typebox/value';
import { problemsOf } from '../../core/options/problems.ts';

/** Properties of a JSON schema that a command-line option is made from. */
interface OptionSchema {
  readonly enum?: readonly string[];
  readonly default?: string | number;
  readonly description?: string;
}

/**
 * Makes a command-line option from a JSON schema: its help text, its choices or its range, and its default. The default
 * is only shown; the value of an option that was not given is undefined.
 */
export function schemaOption(flags: string, schema: Type.TSchema): Option {
  const { enum: choices, default: standard, description } = schema as OptionSchema;
  const option = new Option(flags, description);
  if (standard !== undefined) option.default(undefined, String(standard));
  return choices ? option.choices(choices) : option.argParser((text) => parseNumber(text, schema));
}

function parseNumber(text: string, schema: Type.TSchema): number {
  const value: unknown = text.trim() === '' || Number.isNaN(Number(text)) ? text : Number(text);
  if (Value.Check(schema, value)) return value as number;
  const [problem = ''] = problemsOf(schema, value, 'it');
  throw new InvalidArgumentError(`${problem.replace(/^it is .*, expected/, 'expected')}, found "${text}".`);
}
