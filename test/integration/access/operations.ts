import { readFileSync } from 'node:fs';

interface Schema {
  $ref?: string;
  pattern?: string;
  anyOf?: Schema[];
  properties?: Record<string, Schema>;
}
interface DocumentedOperation {
  operationId: string;
  security: { apiKey: [string] }[];
  parameters?: { in: string; name: string; schema: Schema }[];
  responses: Record<string, { content?: Record<string, unknown> }>;
  requestBody?: { content: Record<string, { schema: Schema }> };
}
interface OpenApi {
  paths: Record<string, Record<string, DocumentedOperation>>;
  components: { schemas: Record<string, Schema> };
}

/** Parameter of a request that takes the identifier of something owned by a tenant. */
export interface OwnedReference {
  in: 'path' | 'query' | 'body';
  name: string;
  /** Prefix of the identifier, such as `adp`. */
  kind: string;
}

export interface Operation {
  id: string;
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  /** Weakest scopes, one of which a key needs; null if no key is needed. */
  scopes: string[] | null;
  owned: OwnedReference[];
  /** Whether the answer is an endless stream. */
  isStream: boolean;
}

/** Prefixes of identifiers that belong to no tenant; all others do. */
const SHARED = new Set(['bm', 'bmv', 'rol', 'evo', 'wrk']);

/** Operations of an OpenAPI document (default: the file in the repository) by identifier. */
export function readOperations(document: OpenApi = fromFile()): Operation[] {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      id: operation.operationId,
      method: method.toUpperCase() as Operation['method'],
      path,
      scopes: operation.security.length === 0 ? null : operation.security.map(({ apiKey: [scope] }) => scope),
      owned: [...parametersOf(operation), ...bodyOf(operation, document)].filter(({ kind }) => !SHARED.has(kind)),
      isStream: 'text/event-stream' in (operation.responses[200]?.content ?? {}),
    })),
  );
  return operations.sort((a, b) => (a.id < b.id ? -1 : 1));
}

function fromFile(): OpenApi {
  return JSON.parse(readFileSync(new URL('../../../openapi/openapi.json', import.meta.url), 'utf8')) as OpenApi;
}

function parametersOf({ parameters = [] }: DocumentedOperation): OwnedReference[] {
  return parameters.flatMap((parameter) => {
    const kind = kindOf(parameter.schema);
    if (kind === null || parameter.in === 'header') return [];
    return [{ in: parameter.in as 'path' | 'query', name: parameter.name, kind }];
  });
}

function bodyOf({ requestBody }: DocumentedOperation, { components }: OpenApi): OwnedReference[] {
  return Object.values(requestBody?.content ?? {}).flatMap(({ schema }) => {
    const { properties = {} } =
      schema.$ref === undefined ? schema : components.schemas[schema.$ref.split('/').at(-1)!]!;
    return Object.entries(properties).flatMap(([name, property]) => {
      const kind = kindOf(property);
      return kind === null ? [] : [{ in: 'body' as const, name, kind }];
    });
  });
}

/** Prefix in an identifier's pattern; null if there is none. */
function kindOf({ pattern, anyOf = [] }: Schema): string | null {
  const prefix = /^\^([a-z]+)_\[0-9a-f\]/.exec(pattern ?? '')?.[1];
  return prefix ?? anyOf.map(kindOf).find((kind) => kind !== null) ?? null;
}
