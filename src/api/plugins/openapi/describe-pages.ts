interface Schema {
  $ref?: string;
  properties?: Record<string, unknown>;
}
interface Parameter {
  name: string;
  in: string;
}
interface Operation {
  parameters?: Parameter[];
  responses?: Record<string, { content?: Record<string, { schema?: Schema }> }>;
  [FINAL_MARK]?: readonly string[];
  'x-pagination'?: Pagination;
  'x-polling'?: Polling;
}

/** A query parameter, and the member of the previous answer that supplies its value. */
interface Continuation {
  readonly parameter: string;
  readonly next: string;
}
/** Pagination of a list. It ends when `next` is null or, for a list that grows at its end, when the page is empty. */
interface Pagination extends Continuation {
  readonly items: string;
  readonly limit: string;
  readonly ends: 'next_null' | 'items_empty';
}
/** Polling of a resource with an ETag. `final` lists its final states. */
interface Polling {
  readonly validator: 'etag';
  readonly state?: string;
  readonly final?: readonly string[];
  /** Parameter that selects the changes since the previous answer. */
  readonly changes?: Continuation;
}

/** Vendor extension that carries the final states of a route to its operation. */
export const FINAL_MARK = 'x-final-states';
const ITEMS = 'data';
const CURSOR = 'next_cursor';

/**
 * Documents the pagination of each list and the polling of changing resources. Both are derived from the parameters and
 * answers.
 */
export function describePages<T>(document: T): T {
  const { paths = {}, components = {} } = document as {
    paths?: Record<string, { get?: Operation }>;
    components?: { schemas?: Record<string, Schema> };
  };
  for (const { get } of Object.values(paths)) {
    if (get === undefined) continue;
    const { [FINAL_MARK]: final } = get;
    delete get[FINAL_MARK];
    const members = membersOf(get, components.schemas ?? {});
    const [page, changes] = continuationsOf(get, members);
    if (page !== undefined && members.has(ITEMS)) {
      const ends = page.next === CURSOR ? 'next_null' : 'items_empty';
      get['x-pagination'] = { items: ITEMS, ...page, limit: 'limit', ends };
    }
    if (changes !== undefined) get['x-polling'] = { validator: 'etag', changes };
    if (final !== undefined) get['x-polling'] = { validator: 'etag', state: 'state', final };
  }
  return document;
}

function membersOf({ responses = {} }: Operation, schemas: Record<string, Schema>): ReadonlySet<string> {
  const schema = responses[200]?.content?.['application/json']?.schema;
  const { properties = {} } = (schema?.$ref === undefined ? schema : schemas[schema.$ref.split('/').at(-1)!]) ?? {};
  return new Set(Object.keys(properties));
}

/** Continuations of a list. The one for ordinary paging comes first. */
function continuationsOf({ parameters = [] }: Operation, members: ReadonlySet<string>): Continuation[] {
  const names = parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name);
  const found = names
    .map((parameter) => ({ parameter, next: `next_${parameter}` }))
    .filter(({ next }) => members.has(next));
  return [...found.filter(({ next }) => next === CURSOR), ...found.filter(({ next }) => next !== CURSOR)];
}
