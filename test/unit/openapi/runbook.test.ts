import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';

interface Described {
  $ref?: string;
  type?: string;
  items?: Described;
  properties?: Record<string, Described>;
}
interface Operation {
  parameters?: { in: string; name: string; schema: Described }[];
  responses: Record<string, { content?: Record<string, { schema: Described }> }>;
}
interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Described> };
}

/** Request of the runbook, with the members of the answer that it shows. */
interface Request {
  readonly command: string;
  readonly method: string;
  readonly path: string;
  readonly query: readonly string[];
  readonly shown: readonly string[];
}

const file = (path: string) => readFile(fileURLToPath(new URL(`../../../${path}`, import.meta.url)), 'utf8');

let document: Document;
let sections: Map<string, Request[]>;
beforeAll(async () => {
  document = JSON.parse(await file('openapi/openapi.json')) as Document;
  const runbook = (await file('docs/operating.md')).split(/^## Runbook$/m)[1]!;
  sections = new Map(
    runbook
      .split(/^### /m)
      .slice(1)
      .map((section) => [section.split('\n', 1)[0]!, requestsOf(section)]),
  );
});

/** Requests of a section to paths below `/v1`. A backslash continues a command in the next line. */
function requestsOf(section: string): Request[] {
  const commands = section.replaceAll(/\\\n\s*/g, '').match(/^ *curl .*\$API\/v1\/.*$/gm) ?? [];
  return commands.map((command) => {
    const [, path = '', query = ''] = /\$API(\/v1\/[\w/$-]+)\??([^\s"|]*)/.exec(command)!;
    const method = /-X (\w+)/.exec(command)?.[1] ?? 'GET';
    const [, shown = ''] = /\.data\[\] \| [{[]([^}\]]+)[}\]]/.exec(command) ?? [];
    return {
      command: command.trim(),
      method: method.toLowerCase(),
      path: path.replaceAll(/\$\w+/g, '{}'),
      query: [...new URLSearchParams(query.replaceAll('$', '')).keys()],
      shown: shown.split(',').flatMap((name) => name.trim().replace(/^\./, '') || []),
    };
  });
}

function operationOf({ method, path }: Request): Operation | undefined {
  const entry = Object.entries(document.paths).find(([known]) => known.replaceAll(/\{\w+\}/g, '{}') === path);
  return entry?.[1][method];
}

const resolved = (schema: Described = {}): Described =>
  schema.$ref === undefined ? schema : document.components.schemas[schema.$ref.split('/').at(-1)!]!;

/** Members of the answer of a list. */
function membersOf({ responses }: Operation): string[] {
  const page = resolved(responses['200']?.content?.['application/json']?.schema);
  return Object.keys(resolved(page.properties?.data?.items).properties ?? {});
}

test('the runbook has a remedy for a sick worker, a paused rollout and a full disk, and says how to roll back', () => {
  const wanted = ['A worker is sick', 'A rollout is paused', 'The disk is full', 'Roll back'];
  expect([...sections.keys()]).toEqual(expect.arrayContaining(wanted));
  expect(sections.get('A worker is sick')!.map(({ path }) => path)).toEqual([
    '/v1/workers',
    '/v1/workers/{}/lift-quarantine',
    '/v1/workers/{}/drain',
    '/v1/workers/{}/release',
  ]);
  expect(sections.get('Roll back')!.map(({ path }) => path)).toContain('/v1/rollouts/{}/rollback');
});

test('each request of the runbook is one that the service has, and shows members that its answer has', () => {
  const requests = [...sections.values()].flat();
  expect(requests.length).toBeGreaterThan(15);
  for (const request of requests) {
    const operation = operationOf(request);
    expect(operation, request.command).toBeDefined();
    const parameters = (operation!.parameters ?? [])
      .filter(({ in: place }) => place === 'query')
      .map(({ name }) => name);
    expect(parameters, request.command).toEqual(expect.arrayContaining([...request.query]));
    if (request.shown.length > 0)
      expect(membersOf(operation!), request.command).toEqual(expect.arrayContaining([...request.shown]));
  }
});
