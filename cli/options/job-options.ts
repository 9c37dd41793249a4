import type { Command } from 'commander';
import type Type from 'typebox';
import { AdapterOptions, type GivenAdapterOptions } from '../../core/options/adapter-options.ts';
import { JobOptions, type GivenJobOptions } from '../../core/options/job-options.ts';
import { camelCase } from '../../core/options/job-settings.ts';
import { schemaOption } from './schema-option.ts';

/**
 * Adds a flag for every job option: `max_steps` becomes `--max-steps`.
 * @param table the job options
 * @param except options that the command has a flag for already
 */
export function addJobOptions(
  command: Command,
  { table = JobOptions, except = [] }: { readonly table?: Type.TObject; readonly except?: readonly string[] } = {},
): Command {
  return addTable(command.optionsGroup('Job options:'), table, except);
}

/** Adds a flag for every option of an adapter. */
export function addAdapterOptions(command: Command): Command {
  return addTable(command.optionsGroup('Adapter options:'), AdapterOptions, []);
}

function addTable(command: Command, table: Type.TObject, except: readonly string[]): Command {
  const withFlags = (text: string): string =>
    text.replace(/`(\w+)`/g, (_, name: string) => (name in table.properties ? flagOf(name) : name));
  for (const [name, schema] of Object.entries(table.properties)) {
    if (except.includes(name)) continue;
    const { type } = schema as { readonly type?: string };
    const placeholder = 'enum' in schema ? 'name' : type === 'integer' ? 'n' : 'x';
    const option = schemaOption(`${flagOf(name)} <${placeholder}>`, schema);
    option.description = withFlags(option.description);
    command.addOption(option);
  }
  return command;
}

/** Returns the job options among a command's parsed flags; flags that were not given are left out. */
export function givenJobOptions(flags: object, table: Type.TObject = JobOptions): GivenJobOptions {
  return givenOf(flags, table);
}

/** Returns the options of an adapter among a command's parsed flags; flags that were not given are left out. */
export function givenAdapterOptions(flags: object): GivenAdapterOptions {
  return givenOf(flags, AdapterOptions);
}

function givenOf(flags: object, table: Type.TObject): object {
  const values = new Map<string, unknown>(Object.entries(flags));
  const given = Object.keys(table.properties).map((name) => [name, values.get(camelCase(name))]);
  return Object.fromEntries(given.filter(([, value]) => value !== undefined));
}

function flagOf(name: string): string {
  return `--${name.replaceAll('_', '-')}`;
}
