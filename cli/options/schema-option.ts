import { Option } from 'commander';
import type Type from 'typebox';
import { numberOf } from './parsers.ts';

/** The parts of a schema that an option is made from. */
interface OptionSchema {
  readonly enum?: readonly string[];
  readonly default?: string | number;
  readonly description?: string;
}

/**
 * Makes an option from a schema: its help text, its choices or its range, and its default. The default is only shown; the
 * value of an option that was not given is undefined.
 */
export function schemaOption(flags: string, schema: Type.TSchema): Option {
  const { enum: choices, default: standard, description } = schema as OptionSchema;
  const option = new Option(flags, description);
  if (standard !== undefined) option.default(undefined, String(standard));
  return choices ? option.choices(choices) : option.argParser(numberOf(schema));
}
