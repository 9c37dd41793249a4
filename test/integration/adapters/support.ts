import { readFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { create, Header } from 'tar';
import { expect } from 'vitest';
import { loadConfig } from '../../../src/platform/config/config.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { createAdapterInspector } from '../../../src/fleet/adapters/index.ts';
import { createTestApp, createTestTenant, type TestApp, type TestTenant } from '../support/index.ts';
import { contents } from '../support/store-contents.ts';

export const GOLDEN = fileURLToPath(new URL('../../fixtures/golden/', import.meta.url));

const CONTROL = path.join(GOLDEN, 'broken', 'control', 'adapter');
/** Files of the fixture `control`, which is not broken. */
export const CONFIG = readFileSync(path.join(CONTROL, 'adapter_config.json'));
export const WEIGHTS = readFileSync(path.join(CONTROL, 'adapter_model.safetensors'));
export const good = (): RawEntry[] => [
  { path: 'adapter_config.json', content: CONFIG },
  { path: 'adapter_model.safetensors', content: WEIGHTS },
];

export const TAR = { 'content-type': 'application/x-tar' };

interface CreatedAdapter {
  id: string;
  latest_version: { id: string } | null;
  current: { base_model_version_id: string; version_id: string }[];
  gate_advice: object | null;
}

export interface AdapterWorld {
  app: TestApp;
  acme: TestTenant;
  other: TestTenant;
  baseModelId: string;
  /** Folders of the fixture `control` or of a broken one, below the allowed root. */
  fixture(name: string): { adapter: string; base: string };
  datasetId: string;
  /** Body of a POST to /v1/adapters. */
  body(name: string, more?: object): Record<string, unknown>;
  createAdapter(name: string, more?: object): Promise<CreatedAdapter>;
  /** Adapter of this name, created on the first call. */
  ensureAdapter(name: string): Promise<CreatedAdapter>;
  /** Sends a request with acme's key, unless it names another. */
  request: TestApp['request'];
  uploadTar(adapterId: string, payload: Buffer | Readable, headers?: object): ReturnType<TestApp['request']>;
  /** Checks that a request is refused with the problem and leaves nothing in database and store. */
  expectRefusal(work: () => Promise<{ json(): unknown }>, problem: object): Promise<void>;
}

/**
 * Creates the service with tenants, a base model and the adapter fixtures.
 * @param env settings of the app and of its inspections
 */
export async function createAdapterWorld(
  cases: readonly string[],
  env: Record<string, string> = {},
): Promise<AdapterWorld> {
  const app = await createAppWithInspector(env);
  const acme = await createTestTenant(app.db, 'acme');
  const other = await createTestTenant(app.db, 'other');
  const baseModel = await app.db.baseModel.create({ data: { id: newId('baseModel'), name: 'tiny' } });
  await cp(path.join(GOLDEN, 'broken'), path.join(app.allowedRoot, 'broken'), { recursive: true });
  const fixture = (name: string) => ({
    adapter: path.join(app.allowedRoot, 'broken', name, 'adapter'),
    base: path.join(app.allowedRoot, 'broken', name, 'base'),
  });
  for (const version of cases) {
    const id = newId('baseModelVersion');
    await app.db.baseModelVersion.create({
      data: { id, baseModelId: baseModel.id, version, path: fixture(version).base, servingName: `tiny-${version}` },
    });
  }
  const rows = ['training', 'search', 'gate'].map((split) => JSON.stringify({ prompt: split, completion: 'x', split }));
  const dataset = await app.request({
    method: 'POST',
    url: '/v1/datasets?name=data',
    key: acme.key,
    headers: { 'content-type': 'application/x-ndjson' },
    payload: rows.join('\n'),
  });
  const datasetId = dataset.json<{ id: string }>().id;
  const body = (name: string, more: object = {}) => ({
    name,
    base_model: 'tiny',
    dataset_id: datasetId,
    metric: 'accuracy',
    gate: { kind: 'relative', margin: 0.005 },
    ...more,
  });
  const request: TestApp['request'] = (options) => app.request({ key: acme.key, ...options });
  const createAdapter = async (name: string, more?: object): Promise<CreatedAdapter> => {
    const response = await request({ method: 'POST', url: '/v1/adapters', payload: body(name, more) });
    if (response.statusCode !== 201) throw new Error(response.body);
    return response.json();
  };
  const created = new Map<string, Promise<CreatedAdapter>>();
  return {
    app,
    acme,
    other,
    baseModelId: baseModel.id,
    fixture,
    datasetId,
    body,
    createAdapter,
    ensureAdapter(name) {
      const adapter = created.get(name) ?? createAdapter(name);
      created.set(name, adapter);
      return adapter;
    },
    request,
    uploadTar(adapterId, payload, headers = {}) {
      const url = `/v1/adapters/${adapterId}/versions/upload?base_model_version=control`;
      return request({ method: 'POST', url, payload, headers: { ...TAR, ...headers } });
    },
    async expectRefusal(work, problem) {
      const before = await contents(app.db, app.dataDir);
      expect((await work()).json()).toMatchObject(problem);
      expect(await contents(app.db, app.dataDir)).toEqual(before);
    },
  };
}

async function createAppWithInspector(env: Record<string, string>): Promise<TestApp> {
  const logger = createLogger({ level: process.env.READAPT_TEST_LOG_LEVEL ?? 'silent', pretty: false });
  const inspector = createAdapterInspector(loadConfig(env), logger);
  const app = await createTestApp({ env, deps: { inspector } });
  const close = async (): Promise<void> => {
    await app.close();
    await inspector.close();
  };
  return { ...app, close };
}

/** Packs files of a folder like the command `tar`. */
export async function tarOfFolder(folder: string, files: readonly string[] = ['.']): Promise<Buffer> {
  return buffer(Readable.from(create({ cwd: folder }, [...files])));
}

export interface RawEntry {
  path: string;
  type?:
    | 'File'
    | 'Directory'
    | 'SymbolicLink'
    | 'Link'
    | 'CharacterDevice'
    | 'BlockDevice'
    | 'FIFO'
    | 'NextFileHasLongPath'
    | 'ExtendedHeader';
  linkpath?: string;
  content?: Buffer | string;
  /** Size in the header, if it differs from the true one. */
  size?: number;
}

/** Makes an archive of arbitrary entries, including some that no `tar` command would write. */
export function rawTar(entries: readonly RawEntry[]): Buffer {
  const blocks = entries.flatMap(({ path: name, type = 'File', linkpath, content = '', size }) => {
    const bytes = Buffer.from(content);
    const header = Buffer.alloc(512);
    new Header({ path: name, type, linkpath, size: size ?? bytes.length, mode: 0o644, mtime: new Date(0) }).encode(
      header,
    );
    return [header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}
