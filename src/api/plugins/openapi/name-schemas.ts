import { isDeepStrictEqual } from 'node:util';
import { USE } from '../../../platform/contract/schemas.ts';

type Json = Record<string, unknown>;

/**
 * Moves every schema with a `title` to `components.schemas` and puts a reference in its place, so that client
 * generators have names to use. Enumerations get the missing type `string`.
 *
 * @throws Error if two different schemas have the same title
 */
export function nameSchemas<T>(document: T): T {
  const { paths = {}, components = {} } = document as { paths?: Json; components?: Json };
  const schemas = (components.schemas ??= {}) as Json;
  for (const name of Object.keys(schemas)) schemas[name] = membersOf(schemas[name] as Json, schemas);
  for (const path of Object.keys(paths)) paths[path] = named(paths[path], schemas);
  return document;
}

function named(value: unknown, schemas: Json): unknown {
  if (Array.isArray(value)) return value.map((entry) => named(entry, schemas));
  if (typeof value !== 'object' || value === null) return value;
  if (isParameter(value as Json)) return parameter(value as Parameter, schemas);
  const node = membersOf(value as Json, schemas);
  return typeof node.title === 'string' ? reference(node, schemas) : node;
}

interface Parameter extends Json {
  schema: Json;
}

function isParameter(node: Json): node is Parameter {
  return typeof node.in === 'string' && typeof node.schema === 'object';
}

/** Moves a description from the schema of a parameter to the parameter itself. */
function parameter({ schema, description: stated, ...rest }: Parameter, schemas: Json): Json {
  const { description = stated, ...written } = named({ description: stated, ...schema }, schemas) as Json;
  return { ...rest, ...(description !== undefined && { description }), schema: written };
}

function membersOf(value: Json, schemas: Json): Json {
  const members = Object.entries(value).map(([name, member]) => [name, named(member, schemas)] as const);
  return { ...('enum' in value ? { type: 'string' } : {}), ...Object.fromEntries(members) };
}

/**
 * Replaces a schema by a reference to the component with its title. Facts that hold only at this place, such as the
 * default, stay beside the reference.
 */
function reference(node: Json, schemas: Json): Json {
  const { title, default: byDefault, [USE]: use, ...definition } = node as Json & { title: string };
  if (title in schemas && !isDeepStrictEqual(schemas[title], definition))
    throw new Error(`two different schemas have the title ${title}`);
  schemas[title] = definition;
  return {
    $ref: `#/components/schemas/${title}`,
    ...(use !== undefined && { description: use }),
    // For a schema with several types, only the description names the default: generators cannot write one.
    ...(byDefault !== undefined && !('anyOf' in definition) && { default: byDefault }),
  };
}
