import Type from 'typebox';
import { Prisma } from '../database/database.ts';
import { AppError } from './errors.ts';
import { USE } from './schemas.ts';
import { decodeCursor, encodeCursor, isIdentifier, type PageQuery } from './pagination.ts';

/**
 * Types of the columns by which lists can be sorted. Each type checks the values that cursors contain, and converts
 * them to SQL.
 */
const KINDS = {
  name: {
    isValid: (value: string) => /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(value),
    toSql: (value: string) => Prisma.sql`${value}`,
  },
  number: {
    isValid: (value: string) => value !== '' && Number.isFinite(Number(value)),
    toSql: (value: string) => Prisma.sql`${Number(value)}::float8`,
  },
  /** Type of a column with times, which cursors contain in UTC with microseconds, as {@link exactTime} formats them. */
  time: {
    isValid: (value: string) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(value) && isRealTime(value),
    toSql: (value: string) => Prisma.sql`${value}::timestamptz`,
  },
};

/**
 * Column by which a list can be sorted. A list that is sorted by a column leaves out the rows in which this column is
 * null.
 */
export interface SortColumn<Row> {
  readonly column: string;
  readonly kind: keyof typeof KINDS;
  /** Reads the column's value from a row, as a text for the cursor. */
  readonly valueOf: (row: Row) => string;
}

/**
 * Sort columns of a list, by their names in the API. Null stands for the identifier, that is, the creation time. The
 * first column, in descending order, is the default.
 */
export type SortColumns<Row> = Readonly<Record<string, SortColumn<Row> | null>>;

/** Schema of the parameter `sort`. */
export function sortOf<Name extends string>(title: string, names: readonly Name[], description: string) {
  const values = names.flatMap((name) => [name, `-${name}`] as const);
  const ofSigns = 'With `-`, the largest or newest come first.';
  return Type.Enum(values, { title, description: `Orders of a list. ${ofSigns}`, [USE]: `${description} ${ofSigns}` });
}

export interface SortedQuery extends PageQuery {
  readonly sort?: string | undefined;
}

/** Sort order of a page, and the SQL for it. Its functions put `prefix`, such as `a.`, before the names of columns. */
export interface Sorting<Row extends { id: string }> {
  /** Number of rows to fetch: the limit of the page and one more, which shows whether there is a next page. */
  readonly take: number;
  /** Column to sort by before the identifier; null if rows are sorted by their identifiers alone. */
  readonly column: string | null;
  readonly direction: Prisma.Sql;
  /**
   * Makes the SQL conditions, beginning with `AND`, that select the rows from the beginning of the page to the end of
   * the list.
   */
  readonly rest: (prefix?: string) => Prisma.Sql;
  readonly orderBy: (prefix?: string) => Prisma.Sql;
  /** Creates the cursor of a page whose last row is the given one. */
  readonly cursorOf: (row: Row) => string;
}

/**
 * Determines the order of a list from a query, and where its page begins. A cursor contains the value and the
 * identifier of the last row, so rows that are added, removed or changed in the meantime do not shift the others.
 *
 * @throws AppError 400 `invalid_cursor`, also for the cursor of a different order
 */
export function sortingOf<Row extends { id: string }>(query: SortedQuery, columns: SortColumns<Row>): Sorting<Row> {
  const [usual] = Object.keys(columns) as [string];
  const sort = query.sort ?? `-${usual}`;
  const column = columns[sort.replace(/^-/, '')] ?? null;
  const isUsual = sort === `-${usual}`;
  const position =
    query.cursor === undefined ? null : positionOf(query.cursor, { sort: isUsual ? null : sort, column });
  const [direction, beyond] = (sort.startsWith('-') ? ['DESC', '<'] : ['ASC', '>']).map(Prisma.raw) as [
    Prisma.Sql,
    Prisma.Sql,
  ];
  const named = (prefix: string) => ({
    id: Prisma.raw(`${prefix}id`),
    sorted: column === null ? null : Prisma.raw(`${prefix}${column.column}`),
  });
  return {
    take: (query.limit ?? 50) + 1,
    column: column?.column ?? null,
    direction,
    rest(prefix = '') {
      const { id, sorted } = named(prefix);
      if (column === null || sorted === null)
        return position === null ? Prisma.empty : Prisma.sql`AND ${id} ${beyond} ${position.id}`;
      // This condition is needed even with a position: PostgreSQL uses a partial index only if the index's own
      // condition is given.
      if (position === null) return Prisma.sql`AND ${sorted} IS NOT NULL`;
      const value = KINDS[column.kind].toSql(position.value);
      return Prisma.sql`AND ${sorted} IS NOT NULL AND (${sorted}, ${id}) ${beyond} (${value}, ${position.id})`;
    },
    orderBy(prefix = '') {
      const { id, sorted } = named(prefix);
      return sorted === null ? Prisma.sql`${id} ${direction}` : Prisma.sql`${sorted} ${direction}, ${id} ${direction}`;
    },
    cursorOf(row) {
      if (isUsual) return encodeCursor(row.id);
      return Buffer.from(JSON.stringify([sort, column?.valueOf(row) ?? '', row.id])).toString('base64url');
    },
  };
}

/**
 * Makes the SQL expression that formats a time column with microseconds, so that cursors can contain the exact time. A
 * JavaScript Date has only milliseconds.
 */
export function exactTime(column: string): Prisma.Sql {
  return Prisma.raw(`to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`);
}

interface Position {
  readonly value: string;
  readonly id: string;
}

/**
 * Decodes a cursor to the position after which the page begins.
 * @param sort order that the cursor must have; null for the default order, whose cursors contain only an identifier
 */
function positionOf(
  cursor: string,
  { sort, column }: { sort: string | null; column: SortColumn<never> | null },
): Position {
  if (sort === null) return { value: '', id: decodeCursor(cursor) };
  const [of, value, id] = partsOf(cursor);
  if (of !== sort || typeof value !== 'string' || typeof id !== 'string') throw invalid(cursor, sort);
  if (!isIdentifier(id) || (column !== null && !KINDS[column.kind].isValid(value))) throw invalid(cursor, sort);
  return { value, id };
}

function partsOf(cursor: string): readonly unknown[] {
  try {
    const parts: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    return Array.isArray(parts) ? parts : [];
  } catch {
    return [];
  }
}

function invalid(cursor: string, sort: string): AppError {
  const message = `cursor is ${JSON.stringify(cursor)}, expected the next_cursor of a page with sort=${sort}`;
  return new AppError({ code: 'invalid_cursor', status: 400, message });
}

/** Whether the day and time in a text exist. 31 February does not. */
function isRealTime(value: string): boolean {
  const time = new Date(value);
  return !Number.isNaN(time.getTime()) && time.toISOString().slice(0, 23) === value.slice(0, 23);
}
