import { isFunctionRefused, type Queryable } from '../../database/database.ts';

/** Identifiers that distinguish the database in use from all others. */
export interface Owner {
  /**
   * Identifier of the installation. Copies of the database, and databases restored from its dump, have the same one.
   */
  readonly installation: string;
  /**
   * Identifier of the PostgreSQL server and of the database on it. A copy of the database has a different one; a
   * standby that takes over has the same.
   */
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
