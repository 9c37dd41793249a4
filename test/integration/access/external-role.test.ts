import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadConfig } from '../../../src/platform/config/config.ts';
import { requireDatabase } from '../../../src/platform/config/reachable.ts';
import { applyMigrations } from '../../../src/platform/database/migrations.ts';
import { confinementProblem } from '../../../src/platform/database/row-security/prepare-tenant-role.ts';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../../src/platform/embedded/index.ts';
import { createDatabase } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { confineTo } from '../../../src/platform/database/row-security/confined-database.repository.ts';
import { startServer } from '../../../src/api/server.ts';
import { decideRowSecurity } from '../../../src/platform/database/row-security/row-security.ts';

// Uses a server of its own, on which the role does not exist yet, with users that are not superusers.
let folder: string;
let server: EmbeddedPostgres;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-role-'));
  server = await startEmbeddedPostgres(folder, { durable: false });
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

async function asAdministrator(sql: string, database = 'readapt'): Promise<void> {
  const url = new URL(server.url);
  url.pathname = `/${database}`;
  const client = new pg.Client({ connectionString: url.toString() });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/** Creates a user with a database. @returns its address */
async function createOwner(name: string, rights: string): Promise<string> {
  await asAdministrator(`CREATE ROLE ${name} LOGIN PASSWORD 'secret' ${rights}`);
  await asAdministrator(`CREATE DATABASE ${name} OWNER ${name}`);
  const url = new URL(server.url);
  Object.assign(url, { username: name, password: 'secret', pathname: `/${name}` });
  return url.toString();
}

/** Numbers of tenants visible to the owner of the tables and to a confined tenant, out of two. */
async function seen(url: string): Promise<{ owner: number; tenant: number }> {
  const db = createDatabase(url, { poolSize: 2 });
  try {
    const ids = [newId('tenant'), newId('tenant')];
    for (const id of ids) await db.tenant.create({ data: { id, name: id } });
    return { owner: await db.tenant.count(), tenant: await confineTo(db, ids[0]!).tenant.count() };
  } finally {
    await db.$disconnect();
  }
}

const start = (url: string) =>
  startServer(
    loadConfig({
      DATABASE_URL: url,
      READAPT_ROW_SECURITY: 'required',
      READAPT_PORT: '0',
      READAPT_DATA_DIR: path.join(folder, 'service'),
    }),
    { logger: createLogger({ level: 'silent', pretty: false }) },
  );

function logged() {
  const lines: { reason: string }[] = [];
  return { lines, warn: (line: { reason: string }) => void lines.push(line) };
}

const UNPRIVILEGED_USER =
  'a user who may not create roles migrates, is told what to do, and is confined once an administrator has done it';
test(UNPRIVILEGED_USER, async () => {
  const url = await createOwner('plain_owner', 'NOSUPERUSER NOCREATEROLE');
  expect((await applyMigrations(url)).length).toBeGreaterThan(0);
  const log = logged();
  expect(await decideRowSecurity(url, 'auto', log as never)).toBe(false);
  expect(log.lines[0]?.reason).toContain('may not create it');
  await expect(start(url)).rejects.toMatchObject({
    code: 'row_security_unusable',
    badInput: true,
    message: expect.stringMatching(/^READAPT_ROW_SECURITY is required, .*`CREATE ROLE readapt_tenant NOLOGIN; GRANT/),
  });
  const sql = /`(.*)`/.exec(log.lines[0]!.reason)![1]!;
  await asAdministrator(sql);
  expect(await confinementProblem(url)).toContain('lacks privileges');
  const service = await start(url);
  expect(service.deps.rowSecurity).toBe(true);
  await service.stop();
  expect(await seen(url)).toEqual({ owner: 2, tenant: 1 });
});

test('a user who may create roles, as the master user of a hosted server, needs no help', async () => {
  await asAdministrator('DROP OWNED BY readapt_tenant', 'plain_owner');
  await asAdministrator('DROP ROLE readapt_tenant');
  const url = await createOwner('hosted_master', 'NOSUPERUSER CREATEROLE');
  await applyMigrations(url);
  expect(await confinementProblem(url)).toBeNull();
  expect(await seen(url)).toEqual({ owner: 2, tenant: 1 });
  // The role exists now, but the other user may not use it.
  const other = new URL(url);
  Object.assign(other, { username: 'plain_owner', pathname: '/plain_owner' });
  expect(await confinementProblem(other.toString())).toMatch(
    /may not take the role .*`GRANT readapt_tenant TO "plain_owner";`/,
  );
});

test('a role that row-level security does not bind is refused', async () => {
  const url = new URL(server.url);
  Object.assign(url, { username: 'hosted_master', password: 'secret', pathname: '/hosted_master' });
  await asAdministrator('ALTER ROLE readapt_tenant BYPASSRLS');
  expect(await confinementProblem(url.toString())).toContain('bypasses row-level security');
  await asAdministrator('ALTER ROLE readapt_tenant NOBYPASSRLS');
  await asAdministrator('CREATE TABLE own (); ALTER TABLE own OWNER TO readapt_tenant', 'hosted_master');
  expect(await confinementProblem(url.toString())).toContain('owns tables');
  await asAdministrator('DROP TABLE own', 'hosted_master');
  expect(await confinementProblem(url.toString())).toBeNull();
});

test('a user from whom the policies hide everything is told so, not shown an empty service', async () => {
  await asAdministrator(`CREATE ROLE guest LOGIN PASSWORD 'secret'`);
  await asAdministrator('GRANT ALL ON ALL TABLES IN SCHEMA public TO guest', 'hosted_master');
  const url = new URL(server.url);
  Object.assign(url, { username: 'guest', password: 'secret', pathname: '/hosted_master' });
  await expect(requireDatabase(url.toString())).rejects.toThrow(
    /hides all rows from the user "guest".*ALTER ROLE guest/,
  );
  await asAdministrator('ALTER ROLE guest BYPASSRLS');
  await requireDatabase(url.toString());
});
