/** Fields with the position of the next page in each kind of list, and the parameters that take it. */
const POSITIONS = {
  next_cursor: 'cursor',
  next_after: 'after',
  next_since_id: 'since_id',
  next_changed_after: 'changed_after',
} as const;

type ItemOf<Page> = NonNullable<Page> extends { data: readonly (infer Item)[] } ? Item : never;

/**
 * Reads a list page by page from the position in `options`: `pages(listJobs, { client, query: { limit: 200 } })`.
 * Requests a page only when the loop asks for it.
 */
export async function* pages<Options extends object, Page extends { data: readonly unknown[] } | undefined>(
  list: (options: Options) => Promise<Page>,
  options: Options,
): AsyncGenerator<NonNullable<Page>, void> {
  let query = (options as { query?: object }).query;
  for (;;) {
    const page = (await list({ ...options, query })) as NonNullable<Page>;
    yield page;
    const next = positionAfter(page);
    if (next === null || page.data.length === 0) return;
    query = { ...query, ...next };
  }
}

/** Reads a list item by item: `for await (const job of items(listJobs, { client }))`. */
export async function* items<Options extends object, Page extends { data: readonly unknown[] } | undefined>(
  list: (options: Options) => Promise<Page>,
  options: Options,
): AsyncGenerator<ItemOf<Page>, void> {
  for await (const page of pages(list, options)) yield* page.data as ItemOf<Page>[];
}

function positionAfter(page: object): Record<string, string> | null {
  for (const [name, parameter] of Object.entries(POSITIONS)) {
    const position = (page as Record<string, unknown>)[name];
    if (typeof position === 'string') return { [parameter]: position };
  }
  return null;
}
