import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BaseModelUpload } from '../../../src/fleet/base-uploads/base-upload.schemas.ts';
import { BASE } from '../../unit/training/support/tiny-task.ts';
import { rawTar } from '../adapters/support.ts';
import { announced, filesOf, PART_BYTES, startVerifier, uploader } from '../base-uploads/support.ts';
import { createTestApp, type TestApp } from '../support/index.ts';
import { createTerminal, type RunOptions, type Terminal } from './terminal.ts';

let folder: string;
let model: string;
let app: TestApp;
let verifier: ReturnType<typeof startVerifier>;
let terminal: Terminal;
let options: RunOptions;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-upload-'));
  model = path.join(folder, 'model');
  await cp(BASE, model, { recursive: true });
  // Neither file is sent: a model's folder has more files than the service takes.
  await writeFile(path.join(model, 'README.md'), 'A model.');
  await writeFile(path.join(model, 'optimizer.pt'), 'state');
  app = await createTestApp({ env: { READAPT_BASE_UPLOAD_PART_BYTES: String(PART_BYTES) } });
  await app.app.listen({ port: 0, host: '127.0.0.1' });
  verifier = startVerifier(app);
  await app.request({ method: 'POST', url: '/v1/base-models', payload: { name: 'assistant' } });
  terminal = createTerminal(folder);
  const { port } = app.app.server.address() as AddressInfo;
  options = { env: { READAPT_URL: `http://127.0.0.1:${port}`, READAPT_API_KEY: app.operatorKey } };
});
afterAll(async () => {
  await verifier?.stop();
  await app?.close();
  await rm(folder, { recursive: true, force: true });
});

const upload = (...args: string[]) => terminal.run(['base-versions', 'upload', ...args], options);

test('goes on with the upload of the same files, registers it, and uses what is there already', async () => {
  const api = uploader(app);
  const files = await filesOf(BASE);
  const { id } = (await api.begin(announced(files))).json<BaseModelUpload>();
  for (const part of files.flatMap(api.partsOf).slice(0, 8)) await api.put(id, part);
  const parts = () => app.db.event.count({ where: { subjectId: id, type: 'base_model_upload.part_received' } });

  const done = await upload(model, '--register', 'assistant@1', '--serving-name', 'served', '--json');
  expect(done.code, done.stderr).toBe(0);
  expect(JSON.parse(done.stdout)).toMatchObject({
    upload: { id, state: 'complete' },
    base_model_version: { version: '1', serving_name: 'served', source: { kind: 'upload', id } },
  });
  expect(await parts()).toBe(files.flatMap(api.partsOf).length);

  const [again, registered] = await Promise.all([
    upload(model),
    terminal.run(['base-versions', 'register', 'assistant@2', '--path', `upload://${id}`], options),
  ]);
  expect(again.code, again.stderr).toBe(0);
  expect(again.stdout).toContain(`--path upload://${id}`);
  expect(await parts()).toBe(files.flatMap(api.partsOf).length);
  expect(registered.stdout).toContain('assistant@2');
});

test('sends a complete upload again of which the service has lost a part, and so mends it', async () => {
  const [complete] = await app.db.baseModelUpload.findMany({ where: { state: 'complete' } });
  const { artifactDigest: lost } = await app.db.baseModelUploadPart.findFirstOrThrow({
    where: { uploadId: complete!.id, fileName: 'model.safetensors', number: 2 },
  });
  await app.deps.artifacts.remove(lost);
  expect((await upload(model)).stdout).toContain(complete!.id);
  expect(await app.deps.artifacts.has(lost)).toBe(false);
  const again = await upload(model, '--again', '--json');
  expect(again.code, again.stderr).toBe(0);
  const { id } = JSON.parse(again.stdout).upload as BaseModelUpload;
  expect(id).not.toBe(complete!.id);
  expect(await app.deps.artifacts.has(lost)).toBe(true);
});

test.concurrent('reads no files for a service or model that is not there, or of names that are not taken', async () => {
  // Reading this file fails.
  const unread = path.join(folder, 'unread');
  await mkdir(unread);
  await symlink('nowhere', path.join(unread, 'model.safetensors'));
  const spaced = path.join(folder, 'my model.tar');
  await writeFile(spaced, '');
  const env = { ...options.env, READAPT_API_KEY: 'wrong' };
  const [read, nobodys, unauthorized, other, misnamed] = await Promise.all([
    upload(unread),
    upload(unread, '--register', 'nobody@1'),
    terminal.run(['base-versions', 'upload', unread], { env }),
    upload(path.join(model, 'README.md')),
    upload(spaced),
  ]);
  expect(read.stderr).toContain('cannot be read');
  expect(nobodys.code).toBe(4);
  expect(unauthorized.code).toBe(3);
  expect([other.code, other.stderr]).toEqual([2, expect.stringContaining('expected a folder, *.safetensors')]);
  expect(misnamed.stderr).toContain('expected a name of at most 200 letters');
});

test.concurrent('says why files are refused, by the service or at once', async () => {
  const files = await filesOf(BASE);
  const entries = files.map(({ name, content }) => ({ path: name, content }));
  const archive = path.join(folder, 'all.tar');
  await writeFile(archive, rawTar([...entries, { path: '../x.json', content: '{}' }]));
  const empty = path.join(folder, 'empty');
  await mkdir(empty);
  const [refused, nothing, missing, twice] = await Promise.all([
    upload(archive),
    upload(empty),
    upload(path.join(folder, 'missing')),
    upload(model, path.join(model, 'config.json')),
  ]);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain('"../x.json" of all.tar leads out of the archive');
  expect(refused.stderr).toMatch(/is failed.* Delete it \(DELETE \/v1\/base-model-uploads\/bmu_/);
  expect([nothing.code, nothing.stderr]).toEqual([2, expect.stringContaining('no files of a model')]);
  expect(missing.code).toBe(2);
  expect([twice.code, twice.stderr]).toEqual([2, expect.stringContaining('config.json is there twice')]);
});
