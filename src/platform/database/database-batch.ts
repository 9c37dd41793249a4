import type pg from 'pg';
import { parserOf, type ParseValue } from './database-values.ts';

/** SQL statement with its values. A statement with a name stays prepared on its connection. */
export interface Statement {
  readonly name: string;
  readonly text: string;
  /** Values as the text that PostgreSQL reads. */
  readonly values: (string | null)[];
}

export type Row = Record<string, unknown>;

interface Column {
  readonly name: string;
  readonly parse: ParseValue;
}

/** Connection of the driver, with the prepared statements, a field that the driver's types do not declare. */
type DriverConnection = pg.Connection & { readonly parsedStatements: Record<string, string> };

/**
 * Sends statements in one piece and reads the rows of the last one, in a single round trip. PostgreSQL runs everything
 * before a `Sync` in one transaction and skips the rest after an error, so no statement runs without the ones before
 * it. The driver calls the methods, as it does those of its own queries.
 */
export class StatementBatch implements pg.Submittable {
  readonly #statements: readonly Statement[];
  readonly #settle: { resolve: (rows: Row[]) => void; reject: (error: unknown) => void };
  #columns: readonly Column[] = [];
  #rows: Row[] = [];
  /** Index of the statement whose answer is being read. */
  #current = 0;
  #failure: { error: unknown } | null = null;

  constructor(statements: readonly Statement[], settle: { resolve(rows: Row[]): void; reject(error: unknown): void }) {
    this.#statements = statements;
    this.#settle = settle;
  }

  /** Name of the present statement. When a statement has been parsed, the driver records its name and text. */
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

  /** Keeps an error for later. Thrown here, it would interrupt the driver while it reads from the connection. */
  #attempt(read: () => void): void {
    try {
      read();
    } catch (error) {
      this.#failure ??= { error };
    }
  }
}
