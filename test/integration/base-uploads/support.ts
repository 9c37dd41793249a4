import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { LightMyRequestResponse } from 'fastify';
import { createUploadVerifier } from '../../../src/fleet/base-uploads/index.ts';
import type { BaseModelUpload } from '../../../src/fleet/base-uploads/base-upload.schemas.ts';
import { eventually } from '../../eventually.ts';
import { rawTar, type RawEntry } from '../adapters/support.ts';
import type { TestApp } from '../support/index.ts';

export const PART_BYTES = 65_536;

export interface TestFile {
  readonly name: string;
  readonly content: Buffer;
}

export const sha256 = (content: Buffer, encoding: 'hex' | 'base64' = 'hex'): string =>
  createHash('sha256').update(content).digest(encoding);

export const digestHeader = (content: Buffer) => ({ 'content-digest': `sha-256=:${sha256(content, 'base64')}:` });

/** Files of a folder, sorted by name. */
export async function filesOf(folder: string): Promise<TestFile[]> {
  const names = (await readdir(folder)).sort();
  return Promise.all(names.map(async (name) => ({ name, content: await readFile(path.join(folder, name)) })));
}

export const announced = (files: readonly TestFile[]) =>
  files.map(({ name, content }) => ({ name, size: content.length, sha256: sha256(content) }));

/** Entries of a tar archive with these files. */
export const entriesOf = (files: readonly TestFile[], folder = ''): RawEntry[] =>
  files.map(({ name, content }) => ({ path: `${folder}${name}`, content }));

export const archiveOf = (name: string, entries: readonly RawEntry[]): TestFile => ({ name, content: rawTar(entries) });

/** Client of the upload API with the operator's key. */
export function uploader(app: TestApp) {
  const partBytes = app.config.baseUploadPartBytes;
  const partsOf = ({ name, content }: TestFile) =>
    Array.from({ length: Math.max(1, Math.ceil(content.length / partBytes)) }, (_, index) => ({
      name,
      number: index + 1,
      bytes: content.subarray(index * partBytes, (index + 1) * partBytes),
    }));
  const put = (
    id: string,
    { name, number, bytes }: ReturnType<typeof partsOf>[number],
    headers: Record<string, string> = digestHeader(bytes),
  ): Promise<LightMyRequestResponse> =>
    app.request({
      method: 'PUT',
      url: `/v1/base-model-uploads/${id}/files/${name}/parts/${number}`,
      headers: { 'content-type': 'application/octet-stream', ...headers },
      payload: bytes,
    });
  const get = async (id: string) =>
    (await app.request({ url: `/v1/base-model-uploads/${id}` })).json<BaseModelUpload>();
  const begin = (files: readonly object[]) =>
    app.request({ method: 'POST', url: '/v1/base-model-uploads', payload: { files } });
  const complete = (id: string) => app.request({ method: 'POST', url: `/v1/base-model-uploads/${id}/complete` });
  const ended = (id: string) =>
    eventually(`the upload ${id} is verified`, async () => {
      const upload = await get(id);
      return upload.state !== 'verifying' && upload;
    });
  return {
    partsOf,
    put,
    get,
    begin,
    complete,
    ended,
    /** Registers a version of the base model `assistant`. */
    register: (version: string, source: unknown) =>
      app.request({
        method: 'POST',
        url: '/v1/base-models/assistant/versions',
        payload: { version, source, start_rollout: false },
      }),
    /** Reads what the events of an upload say has happened to it, in order. */
    async eventsOf(id: string): Promise<(string | undefined)[]> {
      const rows = await app.db.event.findMany({ where: { subjectId: id }, orderBy: { seq: 'asc' } });
      return rows.map(({ type }) => type.split('.')[1]);
    },
    /** Sends all parts of the files. @returns the identifier of the upload */
    async send(files: readonly TestFile[]): Promise<string> {
      const { id } = (await begin(announced(files))).json<BaseModelUpload>();
      for (const part of files.flatMap(partsOf)) await put(id, part);
      return id;
    },
    /** Completes an upload and waits for its verification. */
    async finish(id: string): Promise<BaseModelUpload> {
      await complete(id);
      return ended(id);
    },
  };
}

/** Starts the verifier, which every API process runs in the background. */
export function startVerifier({ deps, config }: TestApp, times: { leaseMs?: number } = {}) {
  const { db, artifacts, logger } = deps;
  const loop = createUploadVerifier({ db, artifacts, logger, days: config.baseUploadDays, intervalMs: 20, ...times });
  loop.start();
  return loop;
}
