import type { Queryable } from '../../lib/database.ts';

/** A database, by what tells it from all others. */
export interface Owner {
  /** Of the installation. Copies of the database and what is restored from a dump have the same. */
  readonly installation: string;
  /** Of the database on its server. A copy has another one; a standby that takes over has the same. */
  readonly database: string;
}

export const installationRepository = {
  async owner(db: Queryable): Promise<Owner> {
    const [row] = await db.$queryRaw<Owner[]>`
      SELECT i.identifier AS installation, c.system_identifier || '/' || d.oid AS database
      FROM installation i, pg_control_system() c, pg_database d WHERE d.datname = current_database()`;
    if (row === undefined) throw new Error('the table installation has no row, expected one');
    return row;
  },
};
