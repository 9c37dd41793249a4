import pg from 'pg';
import type { Prisma, PrismaClient } from './generated/prisma/client.ts';

const { types } = pg;

type Queryable = PrismaClient | Prisma.TransactionClient;

/**
 * Connections of a database client, and what is needed to read through them without Prisma: names for statements, and
 * the statements to run before each query.
 */
interface Reader {
  readonly pool: pg.Pool;
  readonly nameOf: (statement: { sql: string; args: readonly unknown[] }) => string;
  readonly first: readonly Prisma.Sql[];
}

const READERS = new WeakMap<Queryable, Reader>();

/** Makes the connection pool that a client shares with Prisma known to {@link readRows}. */
export function readFrom(db: Queryable, reader: Omit<Reader, 'first'>): void {
  READERS.set(db, { ...reader, first: [] });
}

/**
 * Use of a client's connection pool: the numbers of connections that are in use and idle, the largest allowed number of
 * connections (`limit`), and the number of queries that wait for one.
 */
export interface PoolUse {
  readonly busy: number;
  readonly idle: number;
  /** Number of queries that wait for a connection. */
  readonly waiting: number;
  readonly limit: number;
}

/** Reads how many connections of a client's pool are in use. @returns null if the client's pool is not known */
export function poolUseOf(db: Queryable): PoolUse | null {
  const pool = READERS.get(db)?.pool;
  if (pool === undefined) return null;
  const { totalCount, idleCount: idle, waitingCount: waiting, options } = pool;
  return { busy: totalCount - idle, idle, waiting, limit: options.max };
}

/**
 * Lets {@link readRows} read through the pool of `db` for `confined`, a client that sees only some rows. Before each
 * query, the statement `confinement` runs, which hides the other rows.
 */
export function readConfined(confined: Queryable, db: Queryable, confinement: Prisma.Sql): void {
  const reader = READERS.get(db);
  if (reader !== undefined) READERS.set(confined, { ...reader, first: [...reader.first, confinement] });
}

/**
 * Runs a statement that only reads, in a transaction of its own, in one round trip and without the overhead of Prisma's
 * client. If `db` is a transaction, the statement is part of it.
 * @returns rows with the values that `$queryRaw` would return
 */
export async function readRows<T>(db: Queryable, sql: Prisma.Sql): Promise<T[]> {
  const reader = READERS.get(db);
  if (reader === undefined) return db.$queryRaw<T[]>(sql);
  const statements = [...reader.first, sql].map(({ text, values }): Statement => {
    return { name: reader.nameOf({ sql: text, args: values }), text, values: values.map(toParameter) };
  });
  return (await run(reader.pool, statements)) as T[];
}

async function run(pool: pg.Pool, statements: readonly Statement[]): Promise<Row[]> {
  const client = await pool.connect();
  let broken: Error | undefined;
  const note = (error: Error): void => {
    broken = error;
  };
  client.on('error', note);
  try {
    return await new Promise((resolve, reject) => {
      client.query(new StatementBatch(statements, { resolve, reject }));
    });
  } catch (error) {
    // The server has ended the session, which the connection notices only later.
    if (/^57P/.test(String((error as { code?: unknown }).code))) broken ??= error as Error;
    throw error;
  } finally {
    client.removeListener('error', note);
    client.release(broken);
  }
}

/** SQL statement with its values. A statement with a name stays prepared on its connection. */
interface Statement {
  readonly name: string;
  readonly text: string;
  /** Values of the parameters, each as the text that PostgreSQL reads; null for NULL. */
  readonly values: (string | null)[];
}

type Row = Record<string, unknown>;

interface Column {
  readonly name: string;
  readonly parse: ParseValue;
}

/**
 * Connection of the PostgreSQL driver, with a field that its types do not declare: the text of each prepared statement,
 * by name.
 */
type DriverConnection = pg.Connection & { readonly parsedStatements: Record<string, string> };

/**
 * Sends statements in one piece and reads the rows of the last one, in a single round trip. PostgreSQL runs everything
 * before a `Sync` in one transaction and skips the rest after an error, so no statement runs without the ones before
 * it. The PostgreSQL driver calls the methods of this class as it calls those of its own queries.
 */
class StatementBatch implements pg.Submittable {
  readonly #statements: readonly Statement[];
  readonly #settle: { resolve: (rows: Row[]) => void; reject: (error: unknown) => void };
  #columns: readonly Column[] = [];
  #rows: Row[] = [];
  /** Index of the statement whose answer from PostgreSQL is being read. */
  #current = 0;
  #failure: { error: unknown } | null = null;

  constructor(statements: readonly Statement[], settle: { resolve(rows: Row[]): void; reject(error: unknown): void }) {
    this.#statements = statements;
    this.#settle = settle;
  }

  /**
   * Name of the statement whose answer is being read. The driver asks for it when the statement has been parsed, and
   * records it with the text.
   */
  get name(): string {
    return this.#statements[this.#current]?.name ?? '';
  }

  get text(): string {
    return this.#statements[this.#current]?.text ?? '';
  }

  submit(connection: pg.Connection): void {
    const { stream, parsedStatements } = connection as DriverConnection;
    const last = this.#statements.length - 1;
    stream.cork();
    for (const [place, { name, text, values }] of this.#statements.entries()) {
      if (name === '' || parsedStatements[name] === undefined) connection.parse({ name, text, types: [] }, true);
      connection.bind({ statement: name, values }, true);
      if (place === last) connection.describe({ type: 'P' }, true);
      connection.execute(null, true);
    }
    connection.sync();
    stream.uncork();
  }

  handleRowDescription({ fields }: { fields: readonly { name: string; dataTypeID: number }[] }): void {
    this.#attempt(() => {
      this.#columns = fields.map(({ name, dataTypeID }) => ({ name, parse: parserOf(dataTypeID) }));
    });
  }

  handleDataRow({ fields }: { fields: readonly (string | null)[] }): void {
    if (this.#current < this.#statements.length - 1 || this.#failure !== null) return;
    this.#attempt(() => {
      const row: Row = {};
      for (let place = 0; place < fields.length; place++) {
        const [{ name, parse }, text] = [this.#columns[place]!, fields[place]!];
        row[name] = text === null ? null : parse(text);
      }
      this.#rows.push(row);
    });
  }

  handleCommandComplete(): void {
    this.#current += 1;
  }

  handleError(error: unknown): void {
    this.#settle.reject(error);
  }

  handleReadyForQuery(): void {
    if (this.#failure === null) this.#settle.resolve(this.#rows);
    else this.#settle.reject(this.#failure.error);
  }

  /**
   * Runs `read`, and keeps its error until PostgreSQL's answer has ended. An error that is thrown at once would
   * interrupt the driver while it reads from the connection.
   */
  #attempt(read: () => void): void {
    try {
      read();
    } catch (error) {
      this.#failure ??= { error };
    }
  }
}

/**
 * Smallest object identifier of the types that migrations create, all of which are enums. Built-in types have smaller
 * identifiers.
 */
const FIRST_OWN_TYPE = 16_384;

const JSON_TYPES: readonly number[] = [types.builtins.JSON, types.builtins.JSONB];
/** Identifiers of the PostgreSQL types whose values the driver parses in the same way as Prisma. */
const AS_THE_DRIVER: readonly number[] = [
  ...[types.builtins.BOOL, types.builtins.INT2, types.builtins.INT4, types.builtins.FLOAT4, types.builtins.FLOAT8],
  ...[types.builtins.TEXT, types.builtins.VARCHAR, types.builtins.BPCHAR],
];
const TEXT_ARRAY = 1009;

/** Parses a column's value from the text that PostgreSQL sends. */
type ParseValue = (text: string) => unknown;

/**
 * Returns the parser that gives the same values of a PostgreSQL type as Prisma's `$queryRaw`.
 * @throws Error if the type is not supported here, because no statement has selected it so far
 */
function parserOf(type: number): ParseValue {
  if (type === types.builtins.INT8) return BigInt;
  if (type === types.builtins.TIMESTAMPTZ) return toDate;
  if (JSON_TYPES.includes(type)) return JSON.parse;
  if (type >= FIRST_OWN_TYPE) return (text) => text;
  if (AS_THE_DRIVER.includes(type) || type === TEXT_ARRAY) return types.getTypeParser(type) as ParseValue;
  throw new Error(`a column has the type ${type}, which is not read here: cast it, or add it`);
}

const parseTimestamp = types.getTypeParser(types.builtins.TIMESTAMPTZ) as (text: string) => Date;

/**
 * Parses a time such as `2026-11-27 15:04:05.678+00`, the format of sessions in UTC. Rewriting it to a format that
 * JavaScript parses itself takes a third of the time of the driver's parser.
 */
function toDate(text: string): Date {
  const inUtc = text.endsWith('+00') && text.charAt(10) === ' ';
  return inUtc ? new Date(`${text.slice(0, 10)}T${text.slice(11, -3)}Z`) : parseTimestamp(text);
}

/**
 * Formats a parameter of a statement as the text that PostgreSQL reads.
 * @throws Error if values of this type are not supported here, because no statement has had such a parameter so far
 */
function toParameter(value: unknown): string | null {
  if (value === null) return null;
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value) && value.every((element) => typeof element === 'string')) {
    return `{${value.map((element) => `"${element.replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
  }
  throw new Error(
    `a statement has a parameter of the type ${typeof value}, expected a text, a number, a time or texts`,
  );
}
