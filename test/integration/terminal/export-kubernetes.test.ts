// Tests `readapt export k8s` as a process against a real service, with the key of a serving engine.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { leftOpen } from '../events/support.ts';
import { recordEvent } from '../../../src/delivery/events/index.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { eventually } from '../../eventually.ts';
import { publish } from '../serving/publish.ts';
import { createTestApp, createTestKey, unknownEvent, type TestApp } from '../support/index.ts';
import { createTerminal, type Terminal } from './terminal.ts';

// Each command runs in a process that loads the sources anew.
let app: TestApp;
let fleet: Fleet;
let folder: string;
let terminal: Terminal;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  app = await createTestApp();
  await app.app.listen({ port: 0, host: '127.0.0.1' });
  fleet = await createFleet(app.db, { tenants: 2, adapters: 4 });
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-export-'));
  terminal = createTerminal(folder);
  env = {
    READAPT_URL: `http://127.0.0.1:${(app.app.server.address() as AddressInfo).port}`,
    READAPT_API_KEY: await createTestKey(app.db, { tenantId: null, scopes: ['serving:read'] }),
  };
});
afterAll(async () => {
  await fleet.remove();
  await rm(folder, { recursive: true, force: true });
  await app.close();
});

const pools = () => ['--pool', `${fleet.oldVersionId}=old`, '--pool', `${fleet.newVersionId}=new`];
const llmd = () => ['export', 'k8s', '--format', 'llm-d', '--gateway', 'gateway', '--config-maps', '1', ...pools()];

/** Adapters that are on the new pool according to the ConfigMap in a folder. */
async function moved(output: string): Promise<unknown> {
  const [map] = parseAllDocuments(await readFile(path.join(output, '2-configmaps.yaml'), 'utf8'));
  const { data } = map!.toJS() as { data: { adapters: string; baseModel: string } };
  expect(data.baseModel).toBe('served/v2');
  return parseAllDocuments(data.adapters)[0]!.toJS();
}

test('adapters move to the new pool as they become ready, and back when they are rolled back', async () => {
  const output = path.join(folder, 'routes');
  const following = terminal.start([...llmd(), '--output', output, '--follow', '--interval', '1'], { env });
  await following.printed(/wrote 1-inferencemodelrewrites\.yaml \(2 objects\), 2-configmaps\.yaml \(1 object\)/);
  expect(await moved(output)).toEqual([]);

  const [adapterId] = fleet.adapters as [string];
  const ready = await publish(app, adapterId, fleet.newVersionId);
  const adapter = await app.db.adapter.findUniqueOrThrow({ where: { id: adapterId }, include: { tenant: true } });
  const alias = `${adapter.tenant.name}.${adapter.name}`;
  await eventually('the adapter has moved', async () => JSON.stringify(await moved(output)) === `["${alias}"]`);
  const rewrites = await readFile(path.join(output, '1-inferencemodelrewrites.yaml'), 'utf8');
  expect(rewrites).toContain(`modelRewrite: "${alias}@${ready.number}"`);

  const rolledBack = await app.request({
    ...{ method: 'PUT', url: `/v1/adapters/${adapterId}/current/${fleet.newVersionId}` },
    payload: { version_id: null, expected_version_id: ready.id },
  });
  expect(rolledBack.statusCode, rolledBack.body).toBe(200);
  await eventually('the adapter is back', async () => JSON.stringify(await moved(output)) === '[]');
  following.child.kill('SIGTERM');
  expect(await following.ended).toMatchObject({ code: 143 });

  // Another format takes over the folder and leaves nothing behind that would still be applied.
  const byAdapter = ['export', 'k8s', '--format', 'gateway-api', '--no-rewrites', '--gateway', 'gateway', ...pools()];
  expect(await terminal.run([...byAdapter, '--output', output], { env })).toMatchObject({ code: 0 });
  expect(await readdir(output)).toEqual(['3-httproutes.yaml']);
});

test('an adapter is there as long as its change waits for the end of an older transaction', async () => {
  const event = unknownEvent({ tenantId: null, subjectId: 'older' });
  const commit = await leftOpen(app.db, (tx) => recordEvent(tx, event));
  const { id } = await publish(app, fleet.adapters[1]!, fleet.oldVersionId);
  const dynamo = ['export', 'k8s', '--format', 'dynamo', '--source-uri', 's3://adapters/{adapter_version_id}'];
  const printed = await terminal.run([...dynamo, '--pool', fleet.oldVersionId, '--json'], { env });
  await commit();
  expect(printed, printed.stderr).toMatchObject({ code: 0 });
  const { items } = JSON.parse(printed.stdout) as { items: { spec: { source: { uri: string } } }[] };
  expect(items.map(({ spec }) => spec.source.uri)).toContain(`s3://adapters/${id}`);
  expect(items).toHaveLength(4);
});

test('objects are printed for kubectl, and a file of somebody else is not overwritten', async () => {
  const dynamo = ['export', 'k8s', '--format', 'dynamo', '--source-uri', 's3://adapters/{adapter_version_id}'];
  const printed = await terminal.run([...dynamo, '--pool', fleet.oldVersionId, '--json'], { env });
  expect(printed, printed.stderr).toMatchObject({ code: 0 });
  const { kind, items } = JSON.parse(printed.stdout) as { kind: string; items: { spec: { baseModelName: string } }[] };
  expect(kind).toBe('List');
  expect(items.map(({ spec }) => spec.baseModelName)).toEqual(Array(4).fill('served/v1'));

  await writeFile(path.join(folder, '2-configmaps.yaml'), 'kind: ConfigMap\n');
  const refused = await terminal.run([...llmd(), '--output', folder], { env });
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('was not written by') });
  expect(await readFile(path.join(folder, '2-configmaps.yaml'), 'utf8')).toBe('kind: ConfigMap\n');
});
