import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { compiledModule } from '../../compiled/index.ts';
import { registerArtifact } from '../../../src/platform/artifacts/index.ts';
import { withTransaction, type Database } from '../../../src/platform/database/database.ts';
import { recordEvent } from '../../../src/delivery/events/index.ts';
import { createServingFolder, type ServingFolder } from '../../../src/delivery/serving/index.ts';
import { leftOpen } from '../events/support.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { logger } from '../queue/test-queue.ts';
import { createTestDatabase, unknownEvent, untilReadable, type TestDatabase } from '../support/index.ts';
import { publish as insert } from './publish.ts';

const READER = fileURLToPath(new URL('./folder-reader.ts', import.meta.url));
const CHILD = fileURLToPath(new URL('./folder-child.ts', import.meta.url));

let database: TestDatabase;
let db: Database;
let fleet: Fleet;
let root: string;
let folders: ServingFolder[] = [];
/** Alias of each adapter. */
let aliases: string[];
let made = 0;

beforeAll(async () => {
  database = await createTestDatabase();
  db = database.db;
});
afterAll(() => database.close());
beforeEach(async () => {
  fleet = await createFleet(db, { tenants: 2, adapters: 3 });
  root = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-serving-'));
  folders = [];
  const adapters = await db.adapter.findMany({ include: { tenant: true }, orderBy: { id: 'asc' } });
  aliases = adapters.map(({ name, tenant }) => `${tenant.name}.${name}`);
});
afterEach(async () => {
  await Promise.all(folders.map((folder) => folder.stop()));
  await fleet.remove();
  await rm(root, { recursive: true, force: true });
  await db.$executeRaw`TRUNCATE base_models, tenants CASCADE`;
});

/** Opens the folder. Its rounds follow everything that was written before them. */
function open(options: Partial<Parameters<typeof createServingFolder>[0]> = {}): ServingFolder {
  const { artifacts } = fleet;
  const folder = createServingFolder({ db, artifacts, logger, root, graceMs: 3_600_000, ...options });
  folders.push(folder);
  const round = async (): Promise<boolean> => {
    await untilReadable(db);
    return folder.round();
  };
  return { ...folder, round };
}

/** Publishes a version with unique weights and a unique manifest. */
async function publish(adapter: number, base = fleet.oldVersionId) {
  const weights = `weights ${++made}`;
  const source = await mkdtemp(path.join(fleet.folder, 'source-'));
  const config = { peft_type: 'LORA', r: 4, base_model_name_or_path: 'what its tenant calls it' };
  const manifest = { base_fingerprint: 'f', files: { 'adapter_config.json': { sha256: 'old', bytes: 1 } } };
  await writeFile(path.join(source, 'adapter_config.json'), JSON.stringify(config));
  await writeFile(path.join(source, 'readapt.json'), JSON.stringify(manifest));
  await writeFile(path.join(source, 'adapter_model.safetensors'), weights);
  const stored = await fleet.artifacts.putFolder(source, 'adapter');
  await withTransaction(db, (tx) => registerArtifact(tx, fleet.artifacts, stored));
  return { ...(await insert({ db }, fleet.adapters[adapter]!, base, stored.digest)), weights };
}

const makeCurrent = (adapter: number, adapterVersionId: string | null) =>
  db.currentVersion.updateMany({
    where: { adapterId: fleet.adapters[adapter], baseModelVersionId: fleet.oldVersionId },
    data: { adapterVersionId },
  });

/** View of an engine on a base: the target of each alias, and the versions. */
async function seen(base = fleet.oldVersionId) {
  const entries = await readdir(path.join(root, base), { withFileTypes: true });
  const links = entries.filter((entry) => entry.isSymbolicLink()).map(({ name }) => name);
  const targets = await Promise.all(links.map((name) => readlink(path.join(root, base, name))));
  return {
    aliases: Object.fromEntries(links.map((name, place) => [name, targets[place]!])),
    versions: entries.flatMap((entry) => (entry.isDirectory() ? entry.name : [])).sort(),
  };
}

const read = (name: string, file: string, base = fleet.oldVersionId) =>
  readFile(path.join(root, base, name, file), 'utf8');

describe('the serving folder', () => {
  test('has what is current, under the names that engines know, as they want it', async () => {
    const version = await publish(0);
    expect(await open().round()).toBe(true);
    const { aliases: targets, versions } = await seen();
    const names = [`${aliases[0]}@2`, `${aliases[1]}@1`, `${aliases[2]}@1`];
    expect(targets).toEqual(Object.fromEntries(aliases.map((alias, place) => [alias, names[place]])));
    expect(versions).toEqual([...names].sort());
    const config = await read(aliases[0]!, 'adapter_config.json');
    expect(JSON.parse(config)).toEqual({ peft_type: 'LORA', r: 4, base_model_name_or_path: 'served/v1' });
    const { files } = JSON.parse(await read(names[0]!, 'readapt.json'));
    expect(files['adapter_config.json'].bytes).toBe(Buffer.byteLength(config));
    expect(await read(names[0]!, 'adapter_model.safetensors')).toBe(version.weights);
    expect(JSON.parse(await read(names[0]!, 'readapt-serving.json'))).toMatchObject({
      adapter_version_id: version.id,
      digest: version.artifactDigest,
      serving_name: 'served/v1',
    });
    const stored = path.join(await fleet.artifacts.localPath(version.artifactDigest), 'adapter_model.safetensors');
    const served = path.join(root, fleet.oldVersionId, names[0]!, 'adapter_model.safetensors');
    expect((await stat(served)).ino).toBe((await stat(stored)).ino);
  });

  test('follows publications, rollbacks and what is taken back, and collects after the grace time', async () => {
    const folder = open();
    await folder.round();
    const second = await publish(0);
    await folder.round();
    const [first, next] = [`${aliases[0]}@1`, `${aliases[0]}@2`];
    expect((await seen()).aliases[aliases[0]!]).toBe(next);
    expect((await seen()).versions).toContain(first);
    const before = await db.adapterVersion.findFirstOrThrow({ where: { adapterId: fleet.adapters[0]!, number: 1 } });
    await makeCurrent(0, before.id);
    await folder.round();
    expect((await seen()).aliases[aliases[0]!]).toBe(first);
    expect((await seen()).versions).toContain(next);
    await makeCurrent(0, second.id);
    await folder.round();
    await makeCurrent(1, null);
    await db.adapter.update({ where: { id: fleet.adapters[2] }, data: { deletedAt: new Date(), name: 'gone~x' } });
    await folder.round();
    expect((await seen()).aliases).toEqual({ [aliases[0]!]: next });
    expect((await seen()).versions).toHaveLength(4);
    await folder.stop();
    await open({ graceMs: 0 }).round();
    expect(await seen()).toEqual({ aliases: { [aliases[0]!]: next }, versions: [next] });
    expect(await readdir(path.join(root, '.readapt', 'scratch'))).toEqual([]);
  });

  test('has a folder for each base, and is repaired at the start, without touching what is not its own', async () => {
    await publish(0, fleet.newVersionId);
    const first = open();
    await first.round();
    await first.stop();
    expect((await seen(fleet.newVersionId)).aliases).toEqual({ [aliases[0]!]: `${aliases[0]}@2` });
    expect(JSON.parse(await read(aliases[0]!, 'adapter_config.json', fleet.newVersionId))).toMatchObject({
      base_model_name_or_path: 'served/v2',
    });
    const old = path.join(root, fleet.oldVersionId);
    await rm(path.join(old, `${aliases[1]}@1`), { recursive: true });
    await rm(path.join(old, aliases[2]!));
    await mkdir(path.join(old, 'acme.mine@1'));
    await mkdir(path.join(root, 'notes'));
    await open({ graceMs: 0 }).round();
    expect((await seen()).versions).toEqual([...aliases.map((alias) => `${alias}@1`), 'acme.mine@1'].sort());
    expect(Object.keys((await seen()).aliases).sort()).toEqual([...aliases].sort());
    expect(await readdir(root)).toContain('notes');
  });

  test('keeps what was current where the next change cannot be read yet, also when all is compared', async () => {
    const first = open();
    await first.round();
    await first.stop();
    const [before, next] = [`${aliases[0]}@1`, `${aliases[0]}@2`];
    const commit = await leftOpen(db, (tx) => recordEvent(tx, unknownEvent({ tenantId: null, subjectId: 'older' })));
    await publish(0);
    await makeCurrent(1, null);
    // This folder does not wait until all changes can be read.
    const folder = createServingFolder({ db, artifacts: fleet.artifacts, logger, root, graceMs: 0 });
    folders.push(folder);
    await folder.round();
    expect((await seen()).aliases).toEqual({ [aliases[0]!]: before, [aliases[2]!]: `${aliases[2]}@1` });
    expect((await seen()).versions).toEqual([before, `${aliases[2]}@1`].sort());
    await commit();
    await untilReadable(db);
    await folder.round();
    expect((await seen()).aliases[aliases[0]!]).toBe(next);
    expect((await seen()).versions).toEqual([next, `${aliases[2]}@1`].sort());
  });

  test('leaves the version before where the current one is lost, and tries again', async () => {
    const folder = open();
    await folder.round();
    const second = await publish(0);
    await rm(await fleet.artifacts.localPath(second.artifactDigest), { recursive: true });
    await publish(1);
    await folder.round();
    expect((await seen()).aliases).toMatchObject({
      [aliases[0]!]: `${aliases[0]}@1`,
      [aliases[1]!]: `${aliases[1]}@2`,
    });
    await folder.stop();
    await open({ graceMs: 0 }).round();
    expect((await seen()).aliases[aliases[0]!]).toBe(`${aliases[0]}@1`);
    expect((await seen()).versions).toContain(`${aliases[0]}@1`);
  });

  const WRITTEN_FILE_BY_FILE =
    'is written again file by file, so that who reads meanwhile finds all of them, and weights are not written again';
  test(WRITTEN_FILE_BY_FILE, async () => {
    await publish(0);
    // The rounds shall write the files of this version, and no others.
    for (const other of [1, 2]) await makeCurrent(other, null);
    const folder = open();
    await folder.round();
    const version = path.join(root, fleet.oldVersionId, `${aliases[0]}@2`);
    const { ino } = await stat(path.join(version, 'adapter_model.safetensors'));
    const reader = fork(compiledModule(READER), [version], { execArgv: [] });
    const faults: string[] = [];
    reader.on('message', ({ fault }: { fault?: string }) => fault !== undefined && faults.push(fault));
    await once(reader, 'message');
    for (let turn = 0; turn < 40; turn += 1) {
      const servingName = `served/again-${turn}`;
      await db.baseModelVersion.update({ where: { id: fleet.oldVersionId }, data: { servingName } });
      await folder.round();
    }
    const answered = new Promise<number>((resolve) =>
      reader.on('message', ({ rounds }: { rounds?: number }) => rounds !== undefined && resolve(rounds)),
    );
    reader.send('end');
    expect(await answered).toBeGreaterThan(40);
    expect(faults).toEqual([]);
    expect(JSON.parse(await read(aliases[0]!, 'adapter_config.json'))).toMatchObject({
      base_model_name_or_path: 'served/again-39',
    });
    const { files } = JSON.parse(await read(aliases[0]!, 'readapt.json'));
    expect(files['adapter_config.json'].bytes).toBe(Buffer.byteLength(await read(aliases[0]!, 'adapter_config.json')));
    expect(JSON.parse(await read(aliases[0]!, 'readapt-serving.json'))).toMatchObject({
      serving_name: 'served/again-39',
    });
    expect((await stat(path.join(version, 'adapter_model.safetensors'))).ino).toBe(ino);
    expect(await readdir(path.join(root, '.readapt', 'scratch'))).toEqual([]);
    expect((await readdir(version)).sort()).toEqual([
      ...['adapter_config.json', 'adapter_model.safetensors', 'readapt-serving.json', 'readapt.json'],
    ]);
  });

  const WRITTEN_ANEW =
    'is written anew where files of a version are missing, or its name is that of another adapter by now';
  test(WRITTEN_ANEW, async () => {
    const folder = open();
    await folder.round();
    const name = `${aliases[1]}@1`;
    await rm(path.join(root, fleet.oldVersionId, name, 'adapter_config.json'));
    await db.baseModelVersion.update({ where: { id: fleet.oldVersionId }, data: { servingName: 'served/again' } });
    await folder.round();
    expect(JSON.parse(await read(name, 'adapter_config.json'))).toMatchObject({
      base_model_name_or_path: 'served/again',
    });
    await folder.stop();
    const marker = path.join(root, fleet.oldVersionId, name, 'readapt-serving.json');
    await writeFile(marker, JSON.stringify({ ...JSON.parse(await readFile(marker, 'utf8')), digest: 'sha256:other' }));
    await writeFile(path.join(root, fleet.oldVersionId, name, 'of-another'), '');
    await open().round();
    expect(await readdir(path.join(root, fleet.oldVersionId, name))).not.toContain('of-another');
  });

  test('leaves nothing in its scratch folder of what could not be put in its place', async () => {
    const [first] = await db.adapter.findMany({ orderBy: { id: 'asc' }, take: 1 });
    // With its dots encoded, the name is longer than any file system allows.
    await db.tenant.update({ where: { id: first!.tenantId }, data: { name: `t${'.'.repeat(99)}` } });
    await open().round();
    expect(await readdir(path.join(root, '.readapt', 'scratch'))).toEqual([]);
  });

  test('takes files while they are held, so that no other process makes room of them', async () => {
    const held = new Set<string>();
    const artifacts: typeof fleet.artifacts = {
      ...fleet.artifacts,
      localPath: () => Promise.reject(new Error('nobody holds it')),
      holding: (work) => fleet.artifacts.holding((store) => (held.add('held'), work(store))),
    };
    await open({ artifacts }).round();
    expect((await seen()).versions).toHaveLength(3);
    expect(held.size).toBe(1);
  });

  test('is held by one process at a time, and taken over when that stops or dies', async () => {
    const [first, second] = [open({ leaseMs: 60_000 }), open({ leaseMs: 60_000 })];
    expect([await first.round(), await second.round()]).toEqual([true, false]);
    await first.stop();
    expect(await second.round()).toBe(true);
    await db.processLease.updateMany({ data: { owner: 'dead', expiresAt: new Date(Date.now() - 1000) } });
    expect(await open().round()).toBe(true);
  });

  test('is the same to a loop as to somebody who asks', async () => {
    const folder = open({ intervalMs: 20 });
    folder.start();
    await expect
      .poll(() => seen().catch(() => null))
      .toMatchObject({ versions: aliases.map((alias) => `${alias}@1`).sort() });
    await publish(2);
    await expect.poll(async () => (await seen()).aliases[aliases[2]!]).toBe(`${aliases[2]}@2`);
  });
});

/** Starts a process that brings the folder up to date when asked. */
async function startChild() {
  const store = path.join(fleet.folder, 'data', 'artifacts');
  const child = fork(compiledModule(CHILD), [database.url, store, root], { execArgv: [] });
  await once(child, 'message');
  return {
    /** Runs a round that stops before a call of the file system. @returns its number of calls; null if it stopped */
    async round(stopAt: number): Promise<number | null> {
      // The lease of the process that stopped has expired.
      await db.processLease.updateMany({ data: { expiresAt: new Date(Date.now() - 1000) } });
      child.send(stopAt);
      for (;;) {
        const [message] = (await once(child, 'message')) as [{ count?: number | null }];
        if (message.count !== undefined) return message.count;
      }
    },
    async kill(): Promise<void> {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

/** Checks that an engine finds only complete files: each alias names a version that has all its files. */
async function expectWhole(): Promise<void> {
  const { aliases: targets, versions } = await seen().catch(() => ({ aliases: {}, versions: [] }));
  for (const name of versions) {
    expect(await readdir(path.join(root, fleet.oldVersionId, name))).toContain('readapt-serving.json');
    const { base_model_name_or_path } = JSON.parse(await read(name, 'adapter_config.json'));
    expect(base_model_name_or_path).toBe('served/v1');
  }
  for (const target of Object.values(targets)) expect(versions).toContain(target);
}

test('a process that is killed at any call leaves nothing by halves, and the next one goes on', async () => {
  // Changes to follow: a new version of one adapter, a rollback of another, and the first versions of all.
  await open().round();
  await Promise.all(folders.map((folder) => folder.stop()));
  await publish(0);
  await makeCurrent(1, null);
  // The children must see all of it.
  await untilReadable(db);
  let child = await startChild();
  let kills = 0;
  for (let killAt = 1; ; killAt += 1) {
    const count = await child.round(killAt);
    await expectWhole();
    if (count !== null) break;
    kills += 1;
    // A process that stands still has done as much as one that is killed there. One in sixteen is killed.
    if (kills % 16 > 0) continue;
    await child.kill();
    await expectWhole();
    child = await startChild();
  }
  await child.kill();
  expect(kills).toBeGreaterThan(16);
  expect(await seen()).toEqual({
    aliases: { [aliases[0]!]: `${aliases[0]}@2`, [aliases[2]!]: `${aliases[2]}@1` },
    versions: [`${aliases[0]}@2`, `${aliases[2]}@1`].sort(),
  });
});
