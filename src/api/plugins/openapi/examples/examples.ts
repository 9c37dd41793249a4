import { SCHEMAS, WHOLE } from './schemas.ts';
import { VALUES } from './values.ts';

/** JSON schema as it stands in the finished OpenAPI document. */
export interface Schema {
  $ref?: string;
  type?: string | string[];
  format?: string;
  pattern?: string;
  enum?: unknown[];
  default?: unknown;
  examples?: unknown[];
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
  properties?: Record<string, Schema>;
}
export type Schemas = Record<string, Schema>;

/**
 * Place of a schema in the OpenAPI document: the component or operation that contains it, and the name of the member or
 * parameter that it describes.
 */
interface Place {
  readonly owner: string;
  readonly name: string;
}

/** Creates a function that makes an example of a schema, composed of the examples of its members. */
export function exampleMaker(schemas: Schemas) {
  const made = new Map<string, unknown>();

  function ofComponent(name: string): unknown {
    if (!made.has(name)) made.set(name, name in WHOLE ? WHOLE[name] : of(schemas[name]!, { owner: name, name }));
    return made.get(name);
  }

  /**
   * Makes an example of the schema at a place.
   * @throws Error that names the member if values.ts has no example for it
   */
  function of(schema: Schema, place: Place): unknown {
    const { owner, name } = place;
    if (`${owner}.${name}` in VALUES) return VALUES[`${owner}.${name}`];
    if (schema.$ref !== undefined) return ofComponent(schema.$ref.split('/').at(-1)!);
    const variants = schema.oneOf ?? schema.anyOf;
    if (variants !== undefined) return of(variants[0]!, place);
    if (schema.enum !== undefined) return schema.enum[0];
    if (schema.properties !== undefined) return ofMembers(schema.properties, owner);
    const { items } = schema;
    if (items !== undefined && (items.$ref !== undefined || !Array.isArray(VALUES[name]))) return [of(items, place)];
    return ofLeaf(schema, place);
  }

  function ofMembers(properties: Record<string, Schema>, owner: string): unknown {
    const given = SCHEMAS[owner] ?? {};
    const members = Object.entries(properties).map(([name, member]) => [
      name,
      name in given ? given[name] : of(member, { owner, name }),
    ]);
    return Object.fromEntries(members);
  }

  return { ofComponent, of };
}

/**
 * Prefixes of the identifiers of all kinds of resources. A prefix's position in this list determines the rest of the
 * example identifier, so that a resource has the same identifier in all examples.
 */
const IDS = [
  'ten',
  'bm',
  'bmv',
  'evo',
  'dst',
  'rol',
  'adp',
  'adv',
  'job',
  'rfc',
  'key',
  'evt',
  'wrk',
  'whe',
  'whd',
  'aud',
  'bmu',
];
const UUID = '0199f3a0-1c52-7b44-9a3e-5d0c7f1e2a';

const TIMES: Readonly<Record<string, string>> = {
  from: '2026-11-01T00:00:00.000Z',
  to: '2026-12-01T00:00:00.000Z',
  since: '2026-12-01T00:00:00.000Z',
  retires_at: '2027-03-01T00:00:00.000Z',
  expires_at: '2027-03-01T00:00:00.000Z',
  resets_at: '2027-01-01T00:00:00.000Z',
  deadline: '2026-12-02T06:00:00.000Z',
  finished_at: '2026-12-01T00:21:03.000Z',
  ready_at: '2026-12-01T00:03:04.200Z',
};
const TIME = '2026-12-01T00:00:00.000Z';

function ofLeaf(schema: Schema, { owner, name }: Place): unknown {
  const prefix = /^\^([a-z]+)_\[0-9a-f\]/.exec(schema.pattern ?? '')?.[1];
  if (prefix !== undefined) return `${prefix}_${UUID}${(IDS.indexOf(prefix) + 1).toString(16).padStart(2, '0')}`;
  if (schema.format === 'date-time') return TIMES[name] ?? TIME;
  if (name in VALUES) return VALUES[name];
  if (schema.default !== undefined) return schema.default;
  throw new Error(`${owner}.${name} has no example: give it one in src/api/plugins/openapi/examples/values.ts`);
}
