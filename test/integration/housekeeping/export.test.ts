import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeTar, type TarFile } from '../../../src/platform/artifacts/index.ts';
import { createAdapterWorld, type AdapterWorld } from '../adapters/support.ts';
import { createTestKey, untilReadable } from '../support/index.ts';

let world: AdapterWorld;
let folder: string;
beforeAll(async () => {
  world = await createAdapterWorld(['control']);
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-export-'));
});
afterAll(async () => {
  await world.app.close();
  await rm(folder, { recursive: true, force: true });
});

/** Unpacks an archive with the command `tar`. @returns the names of its files */
async function unpack(archive: Buffer, to: string): Promise<string[]> {
  const file = path.join(folder, 'export.tar');
  await writeFile(file, archive);
  const { status, stderr } = spawnSync('tar', ['-xf', file, '-C', to], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const entries = await readdir(to, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(to, path.join(entry.parentPath, entry.name)))
    .sort();
}

test('an export holds all that a tenant has, and nothing of another', async () => {
  const { acme, app } = world;
  const control = world.fixture('control');
  const source = { base_model_version: 'control', path: control.adapter };
  const name = `a${'b'.repeat(99)}`;
  const { latest_version: version } = await world.createAdapter(name, { source });
  const flips = [{ row: 2, slices: ['de'] }];
  await app.db.negativeFlips.create({ data: { adapterVersionId: version!.id, tenantId: acme.id, flips } });
  const gone = await world.createAdapter('gone', { source });
  await world.request({ method: 'DELETE', url: `/v1/adapters/${gone.id}` });
  await untilReadable(app.db);
  const url = `/v1/tenants/${acme.id}/export`;
  const response = await world.request({ method: 'GET', url });
  expect(response.statusCode).toBe(200);
  expect(response.headers).toMatchObject({
    'content-type': 'application/x-tar',
    'content-disposition': 'attachment; filename="acme.tar"',
  });
  const to = await mkdtemp(path.join(folder, 'unpacked-'));
  expect(await unpack(response.rawPayload, to)).toEqual([
    `adapters/${name}/1.json`,
    `adapters/${name}/1.negative-flips.jsonl`,
    `adapters/${name}/1/adapter_config.json`,
    `adapters/${name}/1/adapter_model.safetensors`,
    `adapters/${name}/adapter.json`,
    'datasets/data.json',
    'datasets/data.jsonl',
    'events/000001.jsonl',
    'tenant.json',
  ]);
  const weights = await readFile(path.join(to, 'adapters', name, '1', 'adapter_model.safetensors'));
  expect(weights).toEqual(await readFile(path.join(control.adapter, 'adapter_model.safetensors')));
  const lost = await readFile(path.join(to, 'adapters', `${name}/1.negative-flips.jsonl`), 'utf8');
  expect(lost).toBe('{"dataset_id":null,"row":2,"slices":["de"]}\n');
  const rows = (await readFile(path.join(to, 'datasets/data.jsonl'), 'utf8')).trim().split('\n');
  expect(rows.map((row) => (JSON.parse(row) as { split: string }).split)).toEqual(['training', 'search', 'gate']);
  const adapter = JSON.parse(await readFile(path.join(to, 'adapters', name, 'adapter.json'), 'utf8')) as object;
  expect(adapter).toMatchObject({ name, tenant_id: acme.id, base_model_name: 'tiny' });
  expect((await app.request({ method: 'GET', url })).rawPayload.equals(response.rawPayload)).toBe(true);
});

test("only a tenant's administrators and the operator export it", async () => {
  const { acme, other, app } = world;
  const writer = await createTestKey(app.db, { tenantId: acme.id, scopes: ['tenant:write'] });
  const url = `/v1/tenants/${acme.id}/export`;
  const statusFor = async (key: string) => (await app.request({ method: 'GET', url, key })).statusCode;
  expect(await Promise.all([acme.key, app.operatorKey, writer, other.key].map(statusFor))).toEqual([
    200, 200, 403, 404,
  ]);
});

test('an archive is written in the memory of a chunk, and a file of another size breaks it off', async () => {
  let made = 0;
  async function* endless(): AsyncGenerator<TarFile> {
    for (let number = 0; ; number++) {
      const bytes = (function* () {
        for (let chunk = 0; chunk < 16; chunk++, made++) yield Buffer.alloc(1 << 20);
      })();
      yield { path: `file-${number}`, size: 16 << 20, bytes };
    }
  }
  const stream = Readable.from(writeTar(endless()), { objectMode: false });
  let read = 0;
  for await (const chunk of stream) if ((read += (chunk as Buffer).length) > 100 << 20) break;
  expect(made).toBeLessThan(104);
  const wrong = (function* () {
    yield { path: 'wrong', size: 3, bytes: [Buffer.from('four')] };
  })() as unknown as AsyncIterable<TarFile>;
  await expect(buffer(Readable.from(writeTar(wrong)))).rejects.toThrow('wrong has not the 3 bytes');
});
