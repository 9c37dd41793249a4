import Type, { type Static, type TSchema } from 'typebox';
import { AppError } from './errors.ts';

/** Query parameters of every list. Lists with more parameters spread `PageQuery.properties` into their own schemas. */
export const PageQuery = Type.Object(
  {
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 200, default: 50, description: 'Largest number of entries on the page.' }),
    ),
    cursor: Type.Optional(
      Type.String({
        maxLength: 400,
        description: 'The `next_cursor` of the previous page; leave it out for the first page.',
      }),
    ),
  },
  { additionalProperties: false },
);
export type PageQuery = Static<typeof PageQuery>;

/** Schema of a page of items. Its title is made from that of the item. */
export function pageOf<T extends TSchema>(item: T) {
  const { title } = item as { title?: string };
  return Type.Object(
    {
      data: Type.Array(item),
      next_cursor: Type.Union([Type.String(), Type.Null()], {
        description: 'Pass it as `cursor` to get the next page. It is null on the last page.',
      }),
    },
    title === undefined ? {} : { title: `${title}Page`, description: `A page of \`${title}\`s.` },
  );
}

export interface Page<T> {
  data: T[];
  next_cursor: string | null;
}

/** Whether a text can be the identifier of a row, so that a cursor may contain it. */
export function isIdentifier(id: string): boolean {
  return /^[\w:.-]{1,100}$/.test(id);
}

/** Decodes a cursor to the identifier after which the page starts. @throws AppError 400 `invalid_cursor` */
export function decodeCursor(cursor: string): string {
  const id = Buffer.from(cursor, 'base64url').toString('utf8');
  if (!isIdentifier(id) || encodeCursor(id) !== cursor) throw invalidCursor(cursor);
  return id;
}

/**
 * Decodes the cursor of a list whose rows have numbers from 0 instead of identifiers.
 * @throws AppError 400 `invalid_cursor`
 */
export function decodePlace(cursor: string): number {
  const place = decodeCursor(cursor);
  if (!/^\d{1,9}$/.test(place)) throw invalidCursor(cursor);
  return Number(place);
}

function invalidCursor(cursor: string): AppError {
  return new AppError({
    code: 'invalid_cursor',
    status: 400,
    message: `cursor is ${JSON.stringify(cursor)}, expected the next_cursor of a page`,
  });
}

/** Encodes the cursor of a page that ends with this identifier. */
export function encodeCursor(id: string): string {
  return Buffer.from(id).toString('base64url');
}

export interface PageArguments {
  /** Number of rows to fetch: the limit of the page and one more, which shows whether there is a next page. */
  take: number;
  orderBy: { id: 'asc' | 'desc' };
  where: { id?: { gt: string } | { lt: string } };
}

/**
 * Creates the Prisma arguments of a page, newest first by default: identifiers sort by creation time. Combine `where`
 * with the list's own conditions, and pass the rows to {@link toPage}.
 */
export function pageArguments(query: PageQuery, order: 'asc' | 'desc' = 'desc'): PageArguments {
  const after = query.cursor === undefined ? undefined : decodeCursor(query.cursor);
  const where = after === undefined ? {} : { id: order === 'asc' ? { gt: after } : { lt: after } };
  return { take: (query.limit ?? 50) + 1, orderBy: { id: order }, where };
}

/**
 * Creates a page from the fetched rows. One row more than the limit means that another page follows.
 * @param cursorOf creates the cursor of a page that ends with the row; by default that of {@link pageArguments}
 */
export function toPage<Row extends { id: string }, Item>(
  rows: readonly Row[],
  query: PageQuery,
  toItem: (row: Row) => Item,
  cursorOf: (row: Row) => string = (row) => encodeCursor(row.id),
): Page<Item> {
  const page = rows.slice(0, query.limit ?? 50);
  const last = page.at(-1);
  const more = rows.length > page.length && last !== undefined;
  return { data: page.map(toItem), next_cursor: more ? cursorOf(last) : null };
}
