import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { uploadBaseModel } from '../../../openapi/clients/typescript/src/node/index.ts';
import { BASE } from '../../unit/training/support/tiny-task.ts';
import { announced, filesOf, PART_BYTES, startVerifier, uploader, type TestFile } from '../base-uploads/support.ts';
import { createTestApp } from '../support/index.ts';
import { createClientWorld, type ClientWorld } from './client-world.ts';

let world: ClientWorld;
let folder: string;
let verifier: ReturnType<typeof startVerifier>;

beforeAll(async () => {
  world = await createClientWorld(await createTestApp({ env: { READAPT_BASE_UPLOAD_PART_BYTES: String(PART_BYTES) } }));
  verifier = startVerifier(world.app);
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-client-'));
});
afterAll(async () => {
  await verifier?.stop();
  await world?.close();
  await rm(folder, { recursive: true, force: true });
});

/** Creates a unique model on disk. */
async function modelOf(text: string): Promise<{ files: TestFile[]; paths: { name: string; path: string }[] }> {
  const config = { name: 'special_tokens_map.json', content: Buffer.from(text) };
  await writeFile(path.join(folder, config.name), config.content);
  const base = await filesOf(BASE);
  const paths = base.map(({ name }) => ({ name, path: path.join(BASE, name) }));
  return { files: [...base, config], paths: [...paths, { name: config.name, path: path.join(folder, config.name) }] };
}

/** `fetch` that calls `work` before the first part is sent, and uses its answer instead if there is one. */
function atFirstPart(work: (request: Request) => Promise<Response | null>): typeof fetch {
  let isFirst = true;
  return async (request, init) => {
    const isPart = (request as Request).method === 'PUT';
    const answer = isPart && isFirst ? ((isFirst = false), await work(request as Request)) : null;
    return answer ?? fetch(request, init);
  };
}

test('waits for an upload that somebody else has sent and completed meanwhile', async () => {
  const { files, paths } = await modelOf('{"a":1}');
  const api = uploader(world.app);
  let sent = '';
  const other = atFirstPart(async () => {
    const { data } = (await world.app.request({ url: '/v1/base-model-uploads?state=open' })).json<{
      data: { id: string }[];
    }>();
    sent = data[0]!.id;
    for (const part of files.flatMap(api.partsOf)) await api.put(sent, part);
    await api.complete(sent);
    return null;
  });
  const client = world.client(undefined, { fetch: other });
  const upload = await uploadBaseModel({ client, files: paths, pollMs: 20, atOnce: 1 });
  expect(upload).toMatchObject({ id: sent, state: 'complete' });
});

test('waits while the service receives parts of others, longer than its retries go on', async () => {
  const { files, paths } = await modelOf('{"b":1}');
  const body = JSON.stringify({ status: 429, code: 'too_many_parts', detail: 'busy' });
  const headers = { 'content-type': 'application/problem+json', 'retry-after': '0' };
  const busy = atFirstPart(() => Promise.resolve(new Response(body, { status: 429, headers })));
  const client = world.client(undefined, { fetch: busy, retries: { maxElapsedMs: 0 } });
  const upload = await uploadBaseModel({ client, files: paths, pollMs: 20 });
  expect(upload.files.map(({ name, size, sha256 }) => ({ name, size, sha256 }))).toEqual(
    expect.arrayContaining(announced(files)),
  );
});
