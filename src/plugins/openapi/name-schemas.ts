import { isDeepStrictEqual } from 'node:util';

type Json = Record<string, unknown>;

/**
 * Moves every schema with a `title` to `components.schemas` and puts a reference in its place, so that client
 * generators have names to use. Enumerations get the type `string`, which they lack.
 *
 * @throws Error if two different schemas have the same title
 */
export function nameSchemas<T>(document: T): T {
  const { paths = {}, components = {} } = document as { paths?: Json; components?: Json };
  const schemas = (components.schemas ??= {}) as Json;
  for (const path of Object.keys(paths)) paths[path] = named(paths[path], schemas);
  return document;
}

function named(value: unknown, schemas: Json): unknown {
  if (Array.isArray(value)) return value.map((entry) => named(entry, schemas));
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([name, member]) => [name, named(member, schemas)] as const);
  const node: Json = { ...('enum' in value ? { type: 'string' } : {}), ...Object.fromEntries(members) };
  if (typeof node.title !== 'string') return node;
  const { title, ...schema } = node;
  if (title in schemas && !isDeepStrictEqual(schemas[title], schema))
    throw new Error(`two different schemas have the title ${title}`);
  schemas[title] = schema;
  return { $ref: `#/components/schemas/${title}` };
}
