import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import Schema from 'typebox/schema';
import { beforeAll, describe, expect, test } from 'vitest';
import { parseEngineName } from '../../../src/delivery/serving/engine-name.ts';

interface Described {
  $ref?: string;
  type?: string | string[];
  format?: string;
  enum?: unknown[];
  const?: unknown;
  description?: string;
  examples?: unknown[];
  anyOf?: Described[];
  oneOf?: Described[];
  properties?: Record<string, Described>;
  discriminator?: { propertyName: string; mapping: Record<string, string> };
}
interface Media {
  schema: Described;
  example?: unknown;
  examples?: Record<string, { $ref: string }>;
}
interface Message {
  $ref?: string;
  description?: string;
  content?: Record<string, Media>;
}
interface Operation {
  operationId: string;
  tags: string[];
  summary: string;
  description?: string;
  security: unknown[];
  parameters?: { name: string; in: string; description?: string; schema: Described; example?: unknown }[];
  requestBody?: Message;
  responses: Record<string, Message>;
}
interface Document {
  servers: { url: string }[];
  tags: { name: string; description: string }[];
  paths: Record<string, Record<string, Operation>>;
  webhooks: Record<string, Record<string, Operation>>;
  components: {
    schemas: Record<string, Described>;
    examples: Record<string, { value: unknown }>;
    responses: Record<string, Message>;
  };
}

let document: Document;
let operations: Operation[];
/** All schemas with their places, including components and the schemas within them. */
let schemas: [string, Described][];

beforeAll(async () => {
  const file = fileURLToPath(new URL('../../../openapi/openapi.json', import.meta.url));
  document = JSON.parse(await readFile(file, 'utf8')) as Document;
  operations = [document.paths, document.webhooks].flatMap((group) => Object.values(group).flatMap(Object.values));
  const { components, paths, webhooks } = document;
  schemas = [
    ...Object.entries(components.schemas).flatMap(([name, schema]) => schemasIn(schema, name)),
    ...Object.entries({ ...paths, ...webhooks }).flatMap(([path, item]) => schemasIn(item, path)),
  ];
});

const LISTS = new Set(['examples', 'example', 'enum', 'mapping', 'required']);

function schemasIn(node: unknown, place: string): [string, Described][] {
  if (Array.isArray(node)) return node.flatMap((entry, index) => schemasIn(entry, `${place}/${index}`));
  if (typeof node !== 'object' || node === null) return [];
  const within = Object.entries(node).filter(([name, member]) => !LISTS.has(name) || !isExample(name, member));
  return [[place, node], ...within.flatMap(([name, member]) => schemasIn(member, `${place}/${name}`))];
}

/** Whether `name` is a keyword whose value is no schema, rather than a schema's member that has the same name. */
function isExample(name: string, member: unknown): boolean {
  return Array.isArray(member) || name === 'mapping' || name === 'example';
}

const places = (found: [string, unknown][]) => found.map(([place]) => place);
const typesOf = ({ type }: Described) => [type ?? []].flat();

function problemsWith(schema: Described, value: unknown): string[] {
  const [, errors] = Schema.Errors({ components: document.components, ...schema } as never, value);
  return errors.map((error) => `${error.instancePath} ${error.message}`);
}

describe('every operation', () => {
  test('has a name, a tag that is described, a summary, a description and its security', () => {
    const tags = document.tags.map(({ name }) => name);
    for (const operation of operations) {
      const { operationId, summary, description, security } = operation;
      expect(operationId).toMatch(/^[a-z]+[A-Za-z]+$/);
      expect([operationId, tags.filter((tag) => operation.tags.includes(tag)).length]).toEqual([operationId, 1]);
      expect(summary, operationId).toBeTruthy();
      expect(description, operationId).toBeTruthy();
      expect(Array.isArray(security), operationId).toBe(true);
    }
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
    const used = new Set(operations.flatMap((operation) => operation.tags));
    expect(tags.filter((tag) => !used.has(tag))).toEqual([]);
  });

  test('has one type of body, or several of the same bytes', () => {
    for (const { operationId, requestBody } of operations) {
      const bodies = Object.values(requestBody?.content ?? {}).map(({ schema }) => schema);
      expect(new Set(bodies.map((schema) => JSON.stringify(schema))).size, operationId).toBeLessThanOrEqual(1);
      if (bodies.length > 1) expect(bodies[0], operationId).toMatchObject({ type: 'string', format: 'binary' });
    }
  });

  test('answers with problems that are named', () => {
    for (const { operationId, responses } of operations.filter(({ operationId }) => operationId !== 'receiveEvent')) {
      const problems = Object.entries(responses).filter(
        ([status, { content = {} }]) => status >= '400' && !('application/json' in content),
      );
      expect(problems.length, operationId).toBeGreaterThan(0);
      for (const [status, { $ref }] of problems) {
        const { content } = document.components.responses[$ref?.split('/').at(-1) ?? ''] ?? {};
        const schema = content?.['application/problem+json']?.schema;
        expect(schema, `${operationId} ${status}`).toEqual({ $ref: '#/components/schemas/Problem' });
      }
    }
  });

  test('has an example of each parameter, body and answer that is no file', () => {
    for (const { operationId, parameters = [], requestBody, responses } of operations) {
      for (const { name, description, schema, example } of parameters) {
        const where = `${operationId} ${name}`;
        expect(description, where).toBeTruthy();
        expect(problemsWith(schema, example), where).toEqual([]);
      }
      const media = [requestBody ?? {}, ...Object.values(responses)].flatMap(({ content = {} }) =>
        Object.values(content),
      );
      for (const { schema, example, examples = {} } of media.filter(({ schema }) => schema.format !== 'binary')) {
        const values = Object.values(examples).map(
          ({ $ref }) => document.components.examples[$ref.split('/').at(-1)!]!.value,
        );
        if (example !== undefined) values.push(example);
        expect(values.length, operationId).toBeGreaterThan(0);
        for (const value of values) expect(problemsWith(schema, value), operationId).toEqual([]);
      }
    }
  });
});

describe('every schema', () => {
  test('that is named has a description and an example that it takes', () => {
    for (const [name, { description, examples = [] }] of Object.entries(document.components.schemas)) {
      expect(description, name).toBeTruthy();
      expect(examples, name).toHaveLength(1);
      expect(problemsWith({ $ref: `#/components/schemas/${name}` }, examples[0]), name).toEqual([]);
    }
  });

  test('of a number says how large it may be', () => {
    const bare = schemas.filter(([, schema]) => {
      const types = typesOf(schema);
      if (types.includes('integer')) return schema.format !== 'int32' && schema.format !== 'int64';
      return types.includes('number') && schema.format !== 'double';
    });
    expect(places(bare)).toEqual([]);
    const { parameters, path } = document.components.schemas.BaseModelVersion!.properties!;
    expect([parameters?.format, path?.format]).toEqual(['int64', undefined]);
  });

  test('of several values or members has a name, where generators would invent one', () => {
    const named = new Set(Object.keys(document.components.schemas));
    const inline = schemas
      .filter(([place]) => !named.has(place))
      .filter(([, schema]) => {
        const values = Array.isArray(schema.enum) ? schema.enum : [];
        const members = typesOf(schema).includes('object') ? Object.keys(schema.properties ?? {}) : [];
        return values.length > 1 || members.length > 0;
      });
    expect(places(inline)).toEqual([]);
  });

  test('that may be null says so in one of two forms', () => {
    const others = schemas.filter(([, { anyOf = [], oneOf = [], $ref }]) => {
      const variants = [...anyOf, ...oneOf];
      const withNull = variants.some(({ type }) => type === 'null');
      return withNull && (variants.length !== 2 || variants[0]!.$ref === undefined || $ref !== undefined);
    });
    expect(places(others)).toEqual([]);
  });

  test('of variants that one member tells apart maps its values to them', () => {
    const unions = Object.entries(document.components.schemas).filter(([, { oneOf }]) => oneOf !== undefined);
    expect(unions.map(([name]) => name).sort()).toEqual(['BaseSource', 'Gate', 'KnownEvent']);
    for (const [name, { oneOf, discriminator }] of unions) {
      const { propertyName, mapping } = discriminator!;
      expect(Object.values(mapping), name).toEqual(oneOf!.map(({ $ref }) => $ref));
      for (const [value, $ref] of Object.entries(mapping)) {
        const { properties } = document.components.schemas[$ref.split('/').at(-1)!]!;
        expect(properties?.[propertyName]?.enum, value).toEqual([value]);
      }
    }
  });
});

test('files are bytes, under the types that the service sends', () => {
  const bytes = operations.flatMap(({ operationId, requestBody, responses }) =>
    [requestBody ?? {}, ...Object.values(responses)]
      .flatMap(({ content = {} }) => Object.entries(content))
      .filter(([, { schema }]) => schema.format === 'binary')
      .map(([type]) => `${operationId} ${type}`),
  );
  expect(bytes.sort()).toEqual([
    'createDataset application/octet-stream',
    'createDataset application/x-ndjson',
    'downloadAdapterVersion application/x-tar',
    'downloadAdapterVersion application/x-tar',
    'downloadAdapterVersionFile application/octet-stream',
    'downloadAdapterVersionFile application/octet-stream',
    'exportAuditLog application/x-ndjson',
    'exportTenant application/x-tar',
    'putBaseModelUploadPart application/octet-stream',
    'uploadAdapterVersion application/octet-stream',
    'uploadAdapterVersion application/x-tar',
  ]);
});

describe('extensions', () => {
  interface Extended {
    parameters?: { name: string }[];
    responses: Record<string, { headers?: Record<string, unknown>; content?: Record<string, { schema: Described }> }>;
    'x-pagination'?: { items: string; parameter: string; next: string; limit: string; ends: string };
    'x-polling'?: { state?: string; final?: string[]; changes?: { parameter: string; next: string } };
  }
  const read = (): [string, Extended][] =>
    Object.entries(document.paths).flatMap(([path, { get }]) =>
      get === undefined ? [] : [[path, get as unknown as Extended]],
    );
  const resolved = (schema: Described | undefined): Described =>
    schema?.$ref === undefined ? (schema ?? {}) : document.components.schemas[schema.$ref.split('/').at(-1)!]!;
  const answerOf = ({ responses }: Extended) => resolved(responses['200']?.content?.['application/json']?.schema);
  const names = ({ parameters = [] }: Extended) => parameters.map(({ name }) => name);

  test('every list says how it goes on, by a parameter and a member that it has', () => {
    const lists = read().filter(
      ([, get]) => answerOf(get).properties?.data !== undefined && names(get).includes('limit'),
    );
    expect(lists.length).toBeGreaterThan(20);
    for (const [path, get] of lists) {
      const { items, parameter, next, limit, ends } = get['x-pagination']!;
      expect(names(get), path).toEqual(expect.arrayContaining([parameter, limit]));
      const { [items]: data, [next]: place } = answerOf(get).properties!;
      expect([data!.type, [place!.type].flat().includes('string')], path).toEqual(['array', true]);
      expect(ends, path).toBe(parameter === 'cursor' ? 'next_null' : 'items_empty');
    }
    const paged = read().filter(([, get]) => get['x-pagination'] !== undefined);
    expect(places(paged)).toEqual(places(lists));
  });

  test('what is polled says in which states it stays, and two lists how changes are read', () => {
    const polled = read().filter(([, get]) => get['x-polling'] !== undefined);
    const one = polled.filter(([, get]) => get['x-polling']!.changes === undefined);
    expect(places(one)).toEqual([
      '/v1/base-model-uploads/{id}',
      '/v1/base-model-versions/{id}',
      '/v1/evolutions/{id}',
      '/v1/jobs/{id}',
      '/v1/rollout-forecasts/{id}',
      '/v1/rollouts/{id}',
    ]);
    for (const [path, get] of one) {
      const { state, final } = get['x-polling']!;
      const states = resolved(answerOf(get).properties![state!]).enum;
      expect(states, path).toEqual(expect.arrayContaining(final!));
      expect(final!.length, path).toBeLessThan(states!.length);
      expect(get.responses['200']!.headers, path).toHaveProperty('etag');
    }
    const changes = { parameter: 'changed_after', next: 'next_changed_after' };
    expect(polled.filter(([, get]) => get['x-polling']!.changes !== undefined)).toMatchObject([
      ['/v1/base-model-versions/{id}/current', { 'x-polling': { changes } }],
      ['/v1/jobs', { 'x-polling': { changes } }],
    ]);
  });
});

test('what is resolved by name is the name of a version, as engines know it', () => {
  const { parameters = [] } = operations.find(({ operationId }) => operationId === 'resolveName')!;
  const example = parameters.find(({ name }) => name === 'name')!.example as string;
  const number = parseEngineName(example)?.number;
  expect(number).toBeDefined();
  const alias = example.slice(0, example.lastIndexOf('@'));
  expect(document.components.examples.ServedVersion!.value).toMatchObject({ name: example, alias, number });
});
