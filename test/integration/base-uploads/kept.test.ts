import { chmod, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createUploads, SourceError } from '../../../src/platform/base-sources/index.ts';
import { artifactCollectionTask } from '../../../src/operations/housekeeping/collection/artifact-collection.ts';
import { uploadCollectionTask } from '../../../src/operations/housekeeping/collection/upload-collection.ts';
import { examine } from '../../../src/operations/doctor/doctor.ts';
import type { Finding } from '../../../src/operations/doctor/findings.ts';
import { verificationRepository } from '../../../src/fleet/base-uploads/verification/verification.repository.ts';
import { GOLDEN } from '../adapters/support.ts';
import { createTestApp, type TestApp } from '../support/index.ts';
import { filesOf, startVerifier, uploader, type TestFile } from './support.ts';

/** Size of the parts, of which the weights have four. */
const PART_BYTES = 4096;

let app: TestApp;
let api: ReturnType<typeof uploader>;
let verifier: ReturnType<typeof startVerifier>;
let base: TestFile[];

beforeAll(async () => {
  app = await createTestApp({ env: { READAPT_BASE_UPLOAD_PART_BYTES: String(PART_BYTES) } });
  api = uploader(app);
  base = await filesOf(path.join(GOLDEN, 'broken/control/base'));
  await app.request({ method: 'POST', url: '/v1/base-models', payload: { name: 'assistant' } });
});
afterAll(() => app?.close());
beforeEach(() => {
  verifier = startVerifier(app);
});
afterEach(async () => {
  await verifier.stop();
  await app.db.baseModelVersion.deleteMany();
  await app.db.baseModelUpload.deleteMany();
  await collectArtifacts();
});

/** Files of the same model with an additional one, which needs a part of its own. */
const otherBase = (text: string) => [...base, { name: 'special_tokens_map.json', content: Buffer.from(text) }];
const digestOf = async (uploadId: string, fileName: string) =>
  (await app.db.baseModelUploadPart.findFirstOrThrow({ where: { uploadId, fileName, number: 1 } })).artifactDigest;
const expire = (id: string) =>
  app.db.baseModelUpload.update({ where: { id }, data: { expiresAt: new Date(Date.now() - 1000) } });
const collectArtifacts = () =>
  artifactCollectionTask({ db: app.db, artifacts: app.deps.artifacts, graceMs: 0 }).run(new AbortController().signal);
const collect = async () => {
  const { uploads } = await uploadCollectionTask({ db: app.db }).run(new AbortController().signal);
  await collectArtifacts();
  return uploads;
};
async function examined(mend = false): Promise<Finding[]> {
  const found: Finding[] = [];
  for await (const one of examine({ db: app.db, artifacts: app.deps.artifacts, mend })) found.push(one);
  return found;
}

test('what nobody uses any more is removed with its parts, and the files of a version never', async () => {
  const { artifacts } = app.deps;
  const kept = await api.send(base);
  await api.finish(kept);
  expect((await api.register('1', `upload://${kept}`)).statusCode).toBe(201);
  const open = await api.send(otherBase('{"open":1}'));
  const complete = await api.send(otherBase('{"complete":1}'));
  await api.finish(complete);
  const digests = await Promise.all([open, complete].map((id) => digestOf(id, 'special_tokens_map.json')));
  const young = await collect();
  expect([young, await artifacts.has(digests[0]!), await artifacts.has(digests[1]!)]).toEqual([0, true, true]);

  await expire(open);
  await expire(complete);
  // A new part postpones the expiry.
  await api.put(open, api.partsOf({ name: 'special_tokens_map.json', content: Buffer.from('{"open":1}') })[0]!);
  expect(await collect()).toBe(1);
  expect((await app.request({ url: `/v1/base-model-uploads/${complete}` })).statusCode).toBe(404);
  expect(await Promise.all(digests.map((digest) => artifacts.has(digest)))).toEqual([true, false]);
  await expire(open);
  expect(await collect()).toBe(1);
  expect(await artifacts.has(digests[0]!)).toBe(false);
  const events = await app.db.event.findMany({ where: { type: 'base_model_upload.expired' } });
  expect(events.map(({ subjectId }) => subjectId).sort()).toEqual([open, complete].sort());

  for (const { name } of base) expect(await artifacts.has(await digestOf(kept, name))).toBe(true);
  expect(await examined()).toEqual([]);
  expect((await api.register('2', `upload://${complete}`)).json()).toMatchObject({
    status: 422,
    code: 'source_not_found',
  });
});

test('a collector that does not know uploads cannot take a part', async () => {
  const id = await api.send(base);
  const digest = await digestOf(id, 'config.json');
  await expect(app.db.$executeRaw`DELETE FROM artifacts WHERE digest = ${digest}`).rejects.toThrow(/foreign key/i);
});

test('a part that the store has lost is found by the verification, and sent again alone', async () => {
  const id = await api.send(base);
  await app.deps.artifacts.remove(await digestOf(id, 'config.json'));
  const reopened = await api.finish(id);
  expect(reopened).toMatchObject({ state: 'open', error: { code: 'artifact_missing' } });
  const missing = reopened.files.filter((file) => file.missing.length > 0);
  expect(missing).toMatchObject([{ name: 'config.json', missing: [{ first: 1, last: 1 }] }]);
  await api.put(id, api.partsOf(base.find(({ name }) => name === 'config.json')!)[0]!);
  expect(await api.finish(id)).toMatchObject({ state: 'complete' });
});

test.each([
  ['damaged', (content: Buffer) => content.fill(0, 100, 200)],
  ['shorter', (content: Buffer) => content.subarray(0, -1)],
])('a part that is %s in the store is sent again alone, and takes its place', async (_what, damage) => {
  const id = await api.send(base);
  const name = 'model.safetensors';
  const large = base.find((file) => file.name === name)!;
  const { artifactDigest: digest } = await app.db.baseModelUploadPart.findFirstOrThrow({
    where: { uploadId: id, fileName: name, number: 2 },
  });
  const file = await app.deps.artifacts.localPath(digest);
  const content = await readFile(file);
  await chmod(file, 0o644);
  await writeFile(file, damage(content));
  const reopened = await api.finish(id);
  expect(reopened).toMatchObject({ state: 'open', error: { code: 'artifact_corrupt' } });
  const missing = reopened.files.filter((one) => one.missing.length > 0);
  expect(missing).toMatchObject([{ name, missing: [{ first: 2, last: 2 }] }]);
  expect(await app.deps.artifacts.has(digest)).toBe(false);
  await api.put(id, api.partsOf(large)[1]!);
  expect(await api.finish(id)).toMatchObject({ state: 'complete', error: null });
});

test('the doctor says which parts are gone, and has them sent again while the upload is open', async () => {
  const [open, complete] = [await api.send(otherBase('{"open":1}')), await api.send(otherBase('{"complete":1}'))];
  await api.finish(complete);
  const name = 'special_tokens_map.json';
  for (const id of [open, complete]) await app.deps.artifacts.remove(await digestOf(id, name));
  const found = await examined(true);
  const about = (id: string) => found.find(({ subject }) => subject === id);
  expect(found.map(({ kind }) => kind)).toEqual(['base_part_gone', 'base_part_gone']);
  expect(about(open)).toMatchObject({ mended: true, message: expect.stringContaining(name) });
  expect(about(complete)).toMatchObject({ mended: false, advice: expect.stringContaining('upload --again') });
  expect((await api.get(open)).files.find((file) => file.name === name)!.missing).toEqual([{ first: 1, last: 1 }]);
  expect(await examined()).toHaveLength(1);

  const { db, deps } = app;
  const uploads = createUploads({ db, artifacts: deps.artifacts });
  const source = { kind: 'upload', id: complete } as const;
  const file = (await uploads.pin(source)).files.find((one) => one.name === name)!;
  const request = { from: 0, signal: new AbortController().signal };
  const fault = await uploads
    .read(source, file, request)
    .next()
    .catch((error: unknown) => error);
  expect(fault).toBeInstanceOf(SourceError);
  expect(fault).toMatchObject({ code: 'source_not_found', message: expect.stringContaining('upload --again') });
});

test('an upload whose process has died in the middle of its verification is verified by another one', async () => {
  const id = await api.send(base);
  await verifier.stop();
  await api.complete(id);
  await app.db.$executeRaw`
    UPDATE base_model_uploads SET lease_owner = 'dead', lease_expires_at = clock_timestamp() + interval '1 second'
    WHERE id = ${id}`;
  verifier = startVerifier(app);
  expect(await api.ended(id)).toMatchObject({ state: 'complete' });
});

test('a verification that never ends is given up, so that the upload may be removed', async () => {
  const id = await api.send(base);
  await verifier.stop();
  const events = () => app.db.event.count({ where: { subjectId: id, type: 'base_model_upload.reopened' } });
  await api.complete(id);
  await app.db.baseModelUpload.update({ where: { id }, data: { attempts: 100 } });
  verifier = startVerifier(app);
  const given = await api.ended(id);
  expect(given).toMatchObject({ state: 'open', error: { code: 'verification_interrupted' } });
  expect([given.files.flatMap(({ missing }) => missing), await events()]).toEqual([[], 1]);
  expect(await api.finish(id)).toMatchObject({ state: 'complete', error: null });
});

test('a file is read from any byte on, over the bounds of its parts', async () => {
  const id = await api.send(base);
  await api.finish(id);
  const { db, deps } = app;
  const uploads = createUploads({ db, artifacts: deps.artifacts });
  const source = { kind: 'upload', id } as const;
  const { content, name } = base.find((one) => one.name === 'model.safetensors')!;
  const file = (await uploads.pin(source)).files.find((one) => one.name === name)!;
  const { signal } = new AbortController();
  for (const from of [0, 1, PART_BYTES - 1, PART_BYTES, 3 * PART_BYTES + 5, content.length - 1, content.length]) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of uploads.read(source, file, { from, signal })) chunks.push(chunk);
    expect(Buffer.concat(chunks).equals(content.subarray(from)), `from ${from}`).toBe(true);
  }
});

test('a renewal that comes late takes back nothing of a file that was verified meanwhile', async () => {
  const { db } = app;
  const id = await api.send(base);
  await verifier.stop();
  await api.complete(id);
  const held = { id, lease: { owner: 'this process', forMs: 60_000 } };
  expect(await verificationRepository.claim(db, id, held.lease)).not.toBeNull();
  const [done, begun] = await verificationRepository.files(db, id);
  expect(await verificationRepository.keep(db, held, done!, [])).toBe(true);
  for (const { name } of [done!, begun!]) {
    expect(await verificationRepository.renew(db, held, { name, bytes: 1 })).toBe(true);
  }
  const { files } = await api.get(id);
  expect(files.slice(0, 2).map(({ verified_bytes: bytes }) => bytes)).toEqual([done!.size, 1]);
  expect(await verificationRepository.renew(db, { id, lease: { ...held.lease, owner: 'another' } }, null)).toBe(false);
});
