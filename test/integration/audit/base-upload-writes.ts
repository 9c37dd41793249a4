import { expect } from 'vitest';
import type { TestApp } from '../support/index.ts';
import type { Write } from './write.ts';

interface Callers {
  operator(method: 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object): ReturnType<Write['run']>;
  app(): TestApp;
}

const UPLOADS = '/v1/base-model-uploads';
const FILES = ['config.json', 'model.safetensors'].map((name) => ({ name, size: 2, sha256: '0'.repeat(64) }));

/** Operations that change uploads of base models. */
export function baseUploadWrites({ operator, app }: Callers): Record<string, Write> {
  const create = () => operator('POST', UPLOADS, { files: FILES });
  const given = async (): Promise<string> => (await create()).json().id;
  const put = (id: string, file: string) =>
    app().request({
      method: 'PUT',
      url: `${UPLOADS}/${id}/files/${file}/parts/1`,
      headers: { 'content-type': 'application/octet-stream' },
      payload: Buffer.from('{}'),
    });
  const upload = (more: object) => expect.objectContaining({ bytes: 4, ...more });
  return {
    createBaseModelUpload: {
      actor: 'operator',
      run: create,
      entry: { tenant_id: null, before: null, after: upload({ state: 'open' }) },
    },
    putBaseModelUploadPart: {
      actor: 'operator',
      given,
      run: (id) => put(id, 'config.json'),
      entry: { tenant_id: null, before: null, after: expect.objectContaining({ file: 'config.json', number: 1 }) },
    },
    completeBaseModelUpload: {
      actor: 'operator',
      given: async () => {
        const id = await given();
        for (const { name } of FILES) expect((await put(id, name)).statusCode).toBe(200);
        return id;
      },
      run: (id) => operator('POST', `${UPLOADS}/${id}/complete`),
      entry: { tenant_id: null, before: { state: 'open' }, after: upload({ state: 'verifying' }) },
    },
    deleteBaseModelUpload: {
      actor: 'operator',
      given,
      run: (id) => operator('DELETE', `${UPLOADS}/${id}`),
      entry: { tenant_id: null, before: upload({ state: 'open' }), after: null },
    },
  };
}
