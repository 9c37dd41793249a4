import { isFunctionRefused, type Queryable } from '../../database/database.ts';

/** A database, by what tells it from all others. */
export interface Owner {
  /** Of the installation. Copies of the database and what is restored from a dump have the same. */
  readonly installation: string;
  /** Of the database on its server. A copy has another one; a standby that takes over has the same. */
  readonly database: string;
}

export const installationRepository = {
  async owner(db: Queryable): Promise<Owner> {
    const [row] = await db.$queryRaw<{ installation: string; number: string }[]>`
      SELECT i.identifier AS installation, d.oid::text AS number
      FROM installation i, pg_database d WHERE d.datname = current_database()`;
    if (row === undefined) throw new Error('the table installation has no row, expected one');
    return { installation: row.installation, database: `${await serverOf(db)}/${row.number}` };
  },
};

/** System identifier of the PostgreSQL server; `unknown` where a managed service does not reveal it. */
async function serverOf(db: Queryable): Promise<string> {
  try {
    const rows = await db.$queryRaw<{ server: string }[]>`
      SELECT system_identifier::text AS server FROM pg_control_system()`;
    return rows[0]!.server;
  } catch (error) {
    if (isFunctionRefused(error)) return 'unknown';
    throw error;
  }
}
