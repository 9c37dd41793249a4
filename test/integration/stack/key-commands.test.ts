import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLogger } from '../../../src/lib/logger.ts';
import { createAuthenticator } from '../../../src/tenants/api-keys/index.ts';
import {
  createTestDatabase,
  createTestKey,
  createTestTenant,
  untilReadable,
  type TestDatabase,
} from '../support/index.ts';
import { createFolder, removeFolder, start } from './readapt.ts';

let folder: string;
let database: TestDatabase;

beforeAll(async () => {
  folder = await createFolder();
  database = await createTestDatabase();
});
afterAll(async () => {
  await database.close();
  await removeFolder(folder);
});

async function run(...args: string[]): Promise<{ code: unknown; output: string }> {
  return start(folder, args, { env: { DATABASE_URL: database.url } }).whole();
}

const idOf = async (key: string): Promise<string> =>
  (await database.db.apiKey.findFirstOrThrow({ where: { prefix: key.split('_')[1]! } })).id;

const authenticate = (key: string) =>
  createAuthenticator({ db: database.db }).authenticate(key, createLogger({ level: 'silent', pretty: false }));

/** Entries of an exported audit log. */
function entriesOf(output: string): { readonly sequence: string; readonly tenant_id: string | null }[] {
  const lines = output.trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as { sequence: string; tenant_id: string | null });
}

test('readapt keys rotate replaces a key, and readapt audit export says so', async () => {
  const old = await createTestKey(database.db);
  const id = await idOf(old);
  const acme = await createTestTenant(database.db, 'acme');
  const [rotated, ofTenant] = await Promise.all([
    run('keys', 'rotate', id, '--overlap', '0s', '--json'),
    run('keys', 'rotate', await idOf(acme.key)),
  ]);
  expect(rotated.code, rotated.output).toBe(0);
  const successor = JSON.parse(rotated.output) as { id: string; key: string; rotated_from_id: string };
  expect(successor.rotated_from_id).toBe(id);
  expect(await authenticate(old)).toBeNull();
  expect(await authenticate(successor.key)).toMatchObject({ kind: 'operator', keyId: successor.id });
  expect(ofTenant.code, ofTenant.output).toBe(0);
  expect(await authenticate(acme.key)).toMatchObject({ kind: 'tenant' });

  await untilReadable(database.db);
  const exported = await run('audit', 'export');
  expect(exported.code, exported.output).toBe(0);
  const entries = entriesOf(exported.output);
  expect(entries).toHaveLength(2);
  const ofAcme = entries.find(({ tenant_id: tenant }) => tenant === acme.id);
  expect(entries.find((entry) => entry !== ofAcme)).toMatchObject({
    operation: 'rotateApiKey',
    actor: 'command',
    key_id: null,
    subject_id: successor.id,
    tenant_id: null,
  });
  expect(ofAcme).toMatchObject({ operation: 'rotateApiKey', actor: 'command' });
  expect(exported.output).not.toContain(successor.key.slice(-43));
  const [later, own] = await Promise.all([
    run('audit', 'export', '--after', entries[0]!.sequence),
    run('audit', 'export', '--tenant', acme.id),
  ]);
  expect(entriesOf(later.output)).toEqual([entries[1]]);
  expect(entriesOf(own.output)).toEqual([ofAcme]);
});

test.concurrent.each([
  ['an unknown key', ['keys', 'rotate', 'key_unknown'], 'API key key_unknown does not exist'],
  ['an overlap that is too long', ['keys', 'rotate', 'key_unknown', '--overlap', '31d'], 'expected a time up to 30d'],
  ['a position that is none', ['audit', 'export', '--after', 'yesterday'], '--after is "yesterday", expected'],
])('%s is a wrong argument', async (_what, args, message) => {
  const { code, output } = await run(...args);
  expect(code).toBe(2);
  expect(output).toContain(message);
});

test.concurrent('readapt keys create --serving makes a key that only reads what is to be served', async () => {
  const [created, both] = await Promise.all([
    run('keys', 'create', '--serving', '--name', 'gateway', '--json'),
    run('keys', 'create', '--serving', '--operator'),
  ]);
  expect(created.code, created.output).toBe(0);
  const { key } = JSON.parse(created.output) as { key: string };
  expect(await authenticate(key)).toMatchObject({ kind: 'operator', readOnly: true, servingOnly: true });
  expect([both.code, both.output]).toEqual([2, expect.stringContaining('both given')]);
});
