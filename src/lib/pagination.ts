import Type, { type Static, type TSchema } from 'typebox';
import { AppError } from './errors.ts';

/** Query parameters of every list; spread `PageQuery.properties` into a list's own. */
export const PageQuery = Type.Object(
  {
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50, description: 'Entries on the page.' })),
    cursor: Type.Optional(Type.String({ maxLength: 200, description: '`next_cursor` of the page before.' })),
  },
  { additionalProperties: false },
);
export type PageQuery = Static<typeof PageQuery>;

/** Schema of a page of `item`, named after it. */
export function pageOf<T extends TSchema>(item: T) {
  const { title } = item as { title?: string };
  return Type.Object(
    {
      data: Type.Array(item),
      next_cursor: Type.Union([Type.String(), Type.Null()], {
        description: 'Pass as `cursor` for the next page; null on the last.',
      }),
    },
    title === undefined ? {} : { title: `${title}Page` },
  );
}

export interface Page<T> {
  data: T[];
  next_cursor: string | null;
}

/** The entry after which a page starts. @throws AppError 400 `invalid_cursor`. */
function decodeCursor(cursor: string): string {
  const id = Buffer.from(cursor, 'base64url').toString('utf8');
  if (!/^[\w:.-]{1,100}$/.test(id) || Buffer.from(id).toString('base64url') !== cursor) {
    throw new AppError({
      code: 'invalid_cursor',
      status: 400,
      message: `cursor "${cursor}" is not the next_cursor of a page`,
    });
  }
  return id;
}

export interface PageArguments {
  /** One more than the limit, so that the last page is known. */
  take: number;
  orderBy: { id: 'asc' | 'desc' };
  where: { id?: { gt: string } | { lt: string } };
}

/**
 * Prisma arguments for a page by identifier, newest first (identifiers sort by creation). Merge `where` with the
 * list's own by `AND`, or spread it, and give the rows to {@link toPage}.
 */
export function pageArguments(query: PageQuery, order: 'asc' | 'desc' = 'desc'): PageArguments {
  const after = query.cursor === undefined ? undefined : decodeCursor(query.cursor);
  const where = after === undefined ? {} : { id: order === 'asc' ? { gt: after } : { lt: after } };
  return { take: (query.limit ?? 50) + 1, orderBy: { id: order }, where };
}

/** Cuts rows fetched by {@link pageArguments} to the page and maps them to their JSON. */
export function toPage<Row extends { id: string }, Item>(
  rows: readonly Row[],
  query: PageQuery,
  toItem: (row: Row) => Item,
): Page<Item> {
  const page = rows.slice(0, query.limit ?? 50);
  const last = page.at(-1);
  const more = rows.length > page.length && last !== undefined;
  return { data: page.map(toItem), next_cursor: more ? Buffer.from(last.id).toString('base64url') : null };
}
