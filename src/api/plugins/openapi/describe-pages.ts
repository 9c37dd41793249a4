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

/** Query parameter that continues a list, and the member of the previous answer from which a client takes its value. */
interface Continuation {
  readonly parameter: string;
  readonly next: string;
}
/**
 * Description of the pagination of a list, for generated clients. The list ends when the member `next` is null or, if
 * the list grows at its end, when a page is empty.
 */
interface Pagination extends Continuation {
  readonly items: string;
  readonly limit: string;
  readonly ends: 'next_null' | 'items_empty';
}
/**
 * Description of how clients poll a resource that has an ETag. `final` lists the states after which it no longer
 * changes.
 */
interface Polling {
  readonly validator: 'etag';
  readonly state?: string;
  readonly final?: readonly string[];
  /** Query parameter with which a client asks only for what has changed since its previous answer. */
  readonly changes?: Continuation;
}

/** Key under which a route's schema carries the final states of the resource until the OpenAPI document is finished. */
export const FINAL_MARK = 'x-final-states';
const ITEMS = 'data';
const CURSOR = 'next_cursor';

/**
 * Adds to the OpenAPI document how clients page through each list and poll each changing resource. Both follow from the
 * parameters and answers of an operation, and from the final states that its route declares.
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

/** Finds the query parameters by which a list can be continued. The cursor of ordinary pages comes first. */
function continuationsOf({ parameters = [] }: Operation, members: ReadonlySet<string>): Continuation[] {
  const names = parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name);
  const found = names
    .map((parameter) => ({ parameter, next: `next_${parameter}` }))
    .filter(({ next }) => members.has(next));
  return [...found.filter(({ next }) => next === CURSOR), ...found.filter(({ next }) => next !== CURSOR)];
}
