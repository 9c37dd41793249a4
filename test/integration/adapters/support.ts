import { cp } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { create, Header } from 'tar';
import type { AdapterInspector } from '../../../src/lib/adapter-inspector.ts';
import { newId } from '../../../src/lib/ids.ts';
import { inspectFolder } from '../../../core/formats/inspect.ts';
import { createTestApp, createTestTenant, type TestApp, type TestTenant } from '../support/index.ts';

export const GOLDEN = fileURLToPath(new URL('../../fixtures/golden/', import.meta.url));

/** The formats' own loaders, as the entry points wire them. */
const inspector: AdapterInspector = {
  async inspectAdapter(folder, base) {
    const found = await inspectFolder(folder, base);
    if (found.kind !== 'adapter') throw new Error(`${folder} holds no adapter`);
    const targets = typeof found.targets === 'string' ? [found.targets] : [...found.targets];
    return { rank: found.rank, loraAlpha: found.alpha, targets, parameters: found.parameters };
  },
};

export interface AdapterWorld {
  app: TestApp;
  acme: TestTenant;
  other: TestTenant;
  baseModelId: string;
  /** Versions `control` and one for each broken fixture, whose folders lie below the allowed root. */
  fixture(name: string): { adapter: string; base: string };
  datasetId: string;
  /** Body of POST /adapters. */
  body(name: string, more?: object): Record<string, unknown>;
  createAdapter(name: string, more?: object): Promise<{ id: string; latest_version: { id: string } | null }>;
}

export async function createAdapterWorld(cases: readonly string[]): Promise<AdapterWorld> {
  const app = await createTestApp({ deps: { inspector } });
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
      data: { id, baseModelId: baseModel.id, version, path: fixture(version).base },
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
  const datasetId = (dataset.json() as { id: string }).id;
  const body = (name: string, more: object = {}) => ({
    name,
    base_model: 'tiny',
    dataset_id: datasetId,
    metric: 'accuracy',
    gate: { kind: 'relative', margin: 0.005 },
    ...more,
  });
  return {
    app,
    acme,
    other,
    baseModelId: baseModel.id,
    fixture,
    datasetId,
    body,
    createAdapter: async (name, more) => {
      const response = await app.request({
        method: 'POST',
        url: '/v1/adapters',
        key: acme.key,
        payload: body(name, more),
      });
      if (response.statusCode !== 201) throw new Error(response.body);
      return response.json();
    },
  };
}

/** Archive of some files of a folder, as `tar` writes it. */
export async function tarOfFolder(folder: string, files: readonly string[] = ['.']): Promise<Buffer> {
  return buffer(Readable.from(create({ cwd: folder }, [...files])));
}

export interface RawEntry {
  path: string;
  type?: 'File' | 'Directory' | 'SymbolicLink' | 'Link' | 'CharacterDevice' | 'BlockDevice' | 'FIFO';
  linkpath?: string;
  content?: Buffer | string;
  /** As the header says, if it lies. */
  size?: number;
}

/** An archive of any entries, also such as no `tar` would write. */
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
