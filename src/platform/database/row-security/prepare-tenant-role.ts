import pg from 'pg';
import { TENANT_ROLE } from './tenant-role.ts';
import { excessGrants, lackingGrants } from './tenant-grants.ts';

/**
 * SQL condition that the connected user may take the tenants' role. Since PostgreSQL 16, membership alone is not
 * enough.
 */
const MAY_TAKE = `pg_has_role(current_user, '${TENANT_ROLE}',
  CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)`;

/**
 * Statement that creates the tenants' role and grants its rights. A block of the statement has no effect if the
 * connected user lacks a right that it needs. If the role and its rights are in place already, nothing is written.
 */
const PREPARE = `
DO $$
DECLARE
  wanted record;
BEGIN
  IF to_regrole('${TENANT_ROLE}') IS NULL THEN
    BEGIN
      CREATE ROLE ${TENANT_ROLE} NOLOGIN;
    EXCEPTION
      WHEN duplicate_object OR unique_violation THEN NULL;
      WHEN insufficient_privilege THEN RETURN;
    END;
  END IF;
  IF NOT ${MAY_TAKE} THEN
    BEGIN
      EXECUTE format('GRANT ${TENANT_ROLE} TO %I', current_user);
    EXCEPTION
      WHEN unique_violation THEN NULL;
      WHEN insufficient_privilege THEN RETURN;
    END;
  END IF;
  IF NOT has_schema_privilege('${TENANT_ROLE}', current_schema(), 'USAGE') THEN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO ${TENANT_ROLE}', current_schema());
  END IF;
  FOR wanted IN ${excessGrants(TENANT_ROLE)} LOOP
    EXECUTE format('REVOKE %s ON %s FROM ${TENANT_ROLE}', wanted.privilege, wanted.object);
  END LOOP;
  FOR wanted IN ${lackingGrants(TENANT_ROLE)} LOOP
    EXECUTE format('GRANT %s ON %s TO ${TENANT_ROLE}', wanted.privilege, wanted.object);
  END LOOP;
EXCEPTION
  WHEN insufficient_privilege THEN NULL;
END $$`;

/** Creates the tenants' role and grants exactly the rights that it needs, as far as the connected user may do so. */
export async function prepareTenantRole(client: pg.Client): Promise<void> {
  await client.query(PREPARE);
}

/**
 * Finds the reason why the database cannot confine requests of tenants; null if it can.
 *
 * @throws Error of the database if it cannot be reached
 */
export async function confinementProblem(url: string): Promise<string | null> {
  const client = new pg.Client({ connectionString: url, application_name: 'readapt-check' });
  await client.connect();
  try {
    const found = await client.query<{ user: string; exists: boolean }>(
      `SELECT current_user AS user, to_regrole('${TENANT_ROLE}') IS NOT NULL AS exists`,
    );
    const { user, exists } = found.rows[0]!;
    const create = `CREATE ROLE ${TENANT_ROLE} NOLOGIN`;
    const grant = `GRANT ${TENANT_ROLE} TO ${pg.escapeIdentifier(user)}`;
    if (!exists) {
      return (
        `there is no role ${TENANT_ROLE}, and the user "${user}" may not create it: ` +
        `let an administrator run \`${create}; ${grant};\``
      );
    }
    if (!(await holds(client, MAY_TAKE))) {
      return `the user "${user}" may not take the role ${TENANT_ROLE}: let an administrator run \`${grant};\``;
    }
    if (await holds(client, UNBOUND)) {
      return (
        `the role ${TENANT_ROLE} is a superuser, bypasses row-level security or owns tables: make it one that does ` +
        'not'
      );
    }
    const missing = await client.query<{ privilege: string; object: string }>(lackingGrants(TENANT_ROLE));
    if (missing.rows.length === 0) return null;
    const grants = missing.rows.map(({ privilege, object }) => `GRANT ${privilege} ON ${object} TO ${TENANT_ROLE};`);
    return `the role ${TENANT_ROLE} lacks privileges: let the owner of the tables run \`${grants.join(' ')}\``;
  } finally {
    await client.end();
  }
}

/** SQL condition that row-level security does not apply to the tenants' role. */
const UNBOUND = `(
  SELECT r.rolsuper OR r.rolbypassrls OR EXISTS (
    SELECT FROM pg_class c
    WHERE c.relnamespace = current_schema()::regnamespace AND pg_has_role(r.oid, c.relowner, 'USAGE'))
  FROM pg_roles r WHERE r.rolname = '${TENANT_ROLE}')`;

async function holds(client: pg.Client, condition: string): Promise<boolean> {
  const { rows } = await client.query<{ holds: boolean }>(`SELECT ${condition} AS holds`);
  return rows[0]?.holds === true;
}
