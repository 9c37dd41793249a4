import Type from 'typebox';
import { Prisma } from '../database/database.ts';
import { AppError } from './errors.ts';
import { USE } from './schemas.ts';
import { decodeCursor, encodeCursor, isIdentifier, type PageQuery } from './pagination.ts';

/** Kinds of sorted columns: the form of their values in cursors, and their conversion to SQL. */
const KINDS = {
  name: {
    isValid: (value: string) => /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(value),
    toSql: (value: string) => Prisma.sql`${value}`,
  },
  number: {
    isValid: (value: string) => value !== '' && Number.isFinite(Number(value)),
    toSql: (value: string) => Prisma.sql`${Number(value)}::float8`,
  },
  /** In UTC with microseconds, as {@link exactTime} writes it. */
  time: {
    isValid: (value: string) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(value) && isRealTime(value),
    toSql: (value: string) => Prisma.sql`${value}::timestamptz`,
  },
};

/** A column by which a list can be sorted besides by identifiers. Rows in which it is null are left out of the list. */
export interface SortColumn<Row> {
  readonly column: string;
  readonly kind: keyof typeof KINDS;
  /** Its value in a row that is listed. */
  readonly valueOf: (row: Row) => string;
}

/**
 * Sort columns of a list. Null stands for the order of the identifiers, which is that of creation; newest first is the
 * default.
 */
export type SortColumns<Row> = Readonly<Record<string, SortColumn<Row> | null>>;

/** The schema of the parameter `sort`. */
export function sortOf<Name extends string>(title: string, names: readonly Name[], description: string) {
  const values = names.flatMap((name) => [name, `-${name}`] as const);
  const ofSigns = 'With `-`, the largest or newest come first.';
  return Type.Enum(values, { title, description: `Orders of a list. ${ofSigns}`, [USE]: `${description} ${ofSigns}` });
}

export interface SortedQuery extends PageQuery {
  readonly sort?: string | undefined;
}

/** Sort order of a page, in SQL. A prefix such as `a.` comes before the columns. */
export interface Sorting<Row extends { id: string }> {
  /** One more than the limit, which shows whether there is a next page. */
  readonly take: number;
  /** The column besides the identifier; null for the order of the identifiers alone. */
  readonly column: string | null;
  readonly direction: Prisma.Sql;
  /** Conditions that leave the rows of the page and of those that follow, as `AND …`. */
  readonly rest: (prefix?: string) => Prisma.Sql;
  readonly orderBy: (prefix?: string) => Prisma.Sql;
  /** The cursor of a page that ends with the row. */
  readonly cursorOf: (row: Row) => string;
}

/**
 * The order of a list that a query asks for, and where its page begins. A position is the value of the last row and its
 * identifier, so rows that come, go or change meanwhile move no others.
 *
 * @throws AppError 400 `invalid_cursor`, also for one of another order
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
      // Also where a position says so, because PostgreSQL enters partial indexes by the condition itself alone.
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

/** A time of the table's column in SQL, with the microseconds that a Date has not, so that it can be a position. */
export function exactTime(column: string): Prisma.Sql {
  return Prisma.raw(`to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`);
}

interface Position {
  readonly value: string;
  readonly id: string;
}

/** @param sort what the cursor has to be sorted by; null for the usual order, whose cursors hold an identifier alone */
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

/** A day such as 31 February is none. */
function isRealTime(value: string): boolean {
  const time = new Date(value);
  return !Number.isNaN(time.getTime()) && time.toISOString().slice(0, 23) === value.slice(0, 23);
}
