import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readModelConfig } from '../../../core/formats/hugging-face/model-weights.ts';
import { loadAdapter } from '../../../core/formats/peft/peft-adapter.ts';
import { saveAdapter } from '../../../core/formats/peft/peft-adapter-writer.ts';
import { createTestKey } from '../support/index.ts';
import { CONFIG, createAdapterWorld, good, rawTar, TAR, tarOfFolder, WEIGHTS, type AdapterWorld } from './support.ts';

let world: AdapterWorld;
let request: AdapterWorld['request'];
beforeAll(async () => {
  world = await createAdapterWorld(['control']);
  request = world.request;
});
afterAll(() => world.app.close());

describe('create', () => {
  it('makes an adapter, with its first version if a source is given', async () => {
    const without = await world.createAdapter('without');
    expect(without.latest_version).toBeNull();
    const source = { base_model_version: 'control', path: world.fixture('control').adapter };
    const made = await world.createAdapter('with', { source, gate: { kind: 'absolute', target: 0.8 } });
    expect(made).toMatchObject({
      name: 'with',
      tenant_id: world.acme.id,
      base_model_id: world.baseModelId,
      base_model_name: 'tiny',
      dataset_id: world.datasetId,
      metric: 'accuracy',
      gate: { kind: 'absolute', target: 0.8 },
      append_eos: 'auto',
      max_length: null,
      latest_version: { number: 1, origin: 'imported', rank: 2, tenant_id: world.acme.id },
    });
    const { gate_advice: advice, ...shown } = made;
    expect(advice).toBeNull();
    expect((await request({ url: `/v1/adapters/${made.id}` })).json()).toEqual(shown);
    const { data } = (await request({ url: '/v1/adapters?name=with' })).json();
    expect(data).toEqual([shown]);
    const events = await world.app.db.event.findMany({ where: { tenantId: world.acme.id }, orderBy: { seq: 'asc' } });
    const types = ['adapter.created', 'adapter.current_moved', 'adapter_version.imported'];
    expect(events.slice(-3).map(({ type }) => type)).toEqual(types);
  });

  it.each([
    ['a relative gate', { kind: 'relative', margin: 0.02 }, 1],
    ['a limit of negative flips', { kind: 'absolute', target: 0.8, max_negative_flips: 0.1 }, 1],
    ['an absolute gate alone', { kind: 'absolute', target: 0.8 }, 0],
  ])('requests that an import be measured for %s', async (what, gate, count) => {
    const source = { base_model_version: 'control', path: world.fixture('control').adapter };
    const payload = { ...world.body(what.replaceAll(' ', '-'), { source, gate }) };
    // Uses a tenant's key, which has fewer rights in the database.
    const { key } = world.acme;
    const made = (await request({ method: 'POST', url: '/v1/adapters', payload, key })).json();
    const requested = (adapterId: string) =>
      world.app.db.outcomeRequest.findMany({ where: { adapterVersion: { adapterId } } });
    expect(await requested(made.id)).toHaveLength(count);
    await world.app.db.outcomeRequest.deleteMany();
    const next = await request({ method: 'POST', url: `/v1/adapters/${made.id}/versions`, payload: source, key });
    expect((await requested(made.id)).map(({ adapterVersionId }) => adapterVersionId)).toEqual(
      Array(count).fill(next.json().id),
    );
  });

  it('keeps how the rows of the adapter are made into tokens', async () => {
    const { gate_advice: _, ...made } = await world.createAdapter('formatted', { append_eos: 'yes', max_length: 1024 });
    expect(made).toMatchObject({ append_eos: 'yes', max_length: 1024 });
    expect((await request({ url: `/v1/adapters/${made.id}` })).json()).toEqual(made);
  });

  it('says what its gate rows can certify, by their number', async () => {
    await world.app.db.dataset.update({ where: { id: world.datasetId }, data: { splits: { gate: 400 } } });
    const advised = (name: string, margin: number) =>
      world.createAdapter(name, { gate: { kind: 'relative', margin, confidence: 0.9 } });
    expect((await advised('wide', 0.06)).gate_advice).toMatchObject({ rows: 400, confidence: 0.9, decidable: 'yes' });
    expect((await advised('narrow', 0.005)).gate_advice).toMatchObject({ margin: 0.005, decidable: 'no' });
  });

  it('takes a gate of non-inferiority with a limit of negative flips', async () => {
    const gate = { kind: 'non_inferiority', margin: 0.01, confidence: 0.9, max_negative_flips: 0.02 };
    const response = await request({ method: 'POST', url: '/v1/adapters', payload: world.body('shown', { gate }) });
    expect(response.statusCode, response.body).toBe(201);
    expect(response.json()).toMatchObject({ gate });
  });

  it.each([
    { kind: 'relative', margin: 0.01, confidence: 0.99, on_inconclusive: 'publish' },
    { kind: 'absolute', target: 0.8, confidence: 0.9, on_inconclusive: 'hold' },
  ])('takes a confidence and a policy: %o', async (gate) => {
    const payload = world.body(`certified-${gate.kind}`, { gate });
    const response = await request({ method: 'POST', url: '/v1/adapters', payload });
    expect(response.statusCode, response.body).toBe(201);
    expect(response.json()).toMatchObject({ gate });
  });

  it.each(['exact_match', 'rouge_l', 'token_f1'])('takes a gate on generated text: %s', async (metric) => {
    const gate = { kind: 'non_inferiority', margin: 0.02 };
    const payload = { ...world.body(`by-${metric}`, { gate }), metric };
    const response = await request({ method: 'POST', url: '/v1/adapters', payload });
    expect(response.statusCode, response.body).toBe(201);
    expect(response.json()).toMatchObject({ metric, gate });
  });

  const valid = { metric: 'accuracy', gate: { kind: 'absolute', target: 0.5 } };
  it.each([
    ['another answer to append_eos', { append_eos: 'maybe' }, 400, 'invalid_request'],
    ['a length of one token', { max_length: 1 }, 400, 'invalid_request'],
    ['an unknown field', { ...valid, targte: 1 }, 400, 'invalid_request'],
    ['an unknown metric', { ...valid, metric: 'f1' }, 400, 'invalid_request'],
    ['a gate of another kind', { gate: { kind: 'relative', target: 0.5 } }, 400, 'invalid_request'],
    ['a number as text', { gate: { kind: 'absolute', target: '0.5' } }, 400, 'invalid_request'],
    ['a target in percent', { gate: { kind: 'absolute', target: 80 } }, 422, 'invalid_gate'],
    ['a negative margin', { metric: 'loss', gate: { kind: 'relative', margin: -0.1 } }, 422, 'invalid_gate'],
    [
      'a limit of flips of a loss',
      { metric: 'loss', gate: { kind: 'absolute', target: 1, max_negative_flips: 0.02 } },
      422,
      'invalid_gate',
    ],
    [
      'a limit of flips of a score',
      { metric: 'token_f1', gate: { kind: 'relative', margin: 0.02, max_negative_flips: 0.02 } },
      422,
      'invalid_gate',
    ],
    [
      'a confidence of chance',
      { gate: { kind: 'non_inferiority', margin: 0.01, confidence: 0.5 } },
      400,
      'invalid_request',
    ],
    [
      'a slice that is named twice',
      { gate: { kind: 'relative', margin: 0.1, slices: ['de', 'de'].map((slice) => ({ name: slice, margin: 0.1 })) } },
      422,
      'invalid_gate',
    ],
    [
      'a slice with a margin in percent',
      { gate: { kind: 'relative', margin: 0.1, slices: [{ name: 'de', margin: 5 }] } },
      422,
      'invalid_gate',
    ],
    [
      'a slice of a gate that compares with no version',
      { gate: { kind: 'absolute', target: 0.5, slices: [{ name: 'de', margin: 0.1 }] } },
      400,
      'invalid_request',
    ],
    [
      'a slice that no gate row is in',
      { gate: { kind: 'relative', margin: 0.1, slices: [{ name: 'de', margin: 0.1 }] } },
      422,
      'unknown_slice',
    ],
    ['another policy', { gate: { kind: 'relative', margin: 0.01, on_inconclusive: 'wait' } }, 400, 'invalid_request'],
    ['an unknown base model', { base_model: 'huge' }, 404, 'not_found'],
    ['an unknown dataset', { dataset_id: 'dst_019a0000-0000-7000-8000-000000000000' }, 404, 'not_found'],
    [
      'an unknown base model version',
      { source: { base_model_version: 'v9', path: '/x' } },
      422,
      'base_model_version_not_found',
    ],
  ])('refuses %s', async (_what, more, status, code) => {
    await world.expectRefusal(
      () => request({ method: 'POST', url: '/v1/adapters', payload: world.body('bad', more) }),
      {
        status,
        code,
      },
    );
  });

  it('refuses a name that is taken, also in a race, and keeps what the winner stored', async () => {
    const source = { base_model_version: 'control', path: world.fixture('control').adapter };
    const payload = world.body('race', { source });
    const answers = await Promise.all([1, 2, 3].map(() => request({ method: 'POST', url: '/v1/adapters', payload })));
    expect(answers.map(({ statusCode }) => statusCode).sort()).toEqual([201, 409, 409]);
    const made = answers.find(({ statusCode }) => statusCode === 201)!.json();
    await world.app.deps.artifacts.verify(made.latest_version.digest);
    await world.expectRefusal(() => request({ method: 'POST', url: '/v1/adapters', payload }), {
      status: 409,
      code: 'adapter_exists',
    });
  });
});

describe('from a folder', () => {
  const importFrom = async (folder: string) => {
    const { id } = await world.ensureAdapter('folders');
    return () =>
      request({
        method: 'POST',
        url: `/v1/adapters/${id}/versions`,
        payload: { base_model_version: 'control', path: folder },
      });
  };

  it('takes the named files only', async () => {
    const folder = path.join(world.app.allowedRoot, 'extra');
    await mkdir(folder);
    await writeFile(path.join(folder, 'adapter_config.json'), CONFIG);
    await writeFile(path.join(folder, 'adapter_model.safetensors'), WEIGHTS);
    await writeFile(path.join(folder, 'optimizer.pt'), 'pickle');
    const version = (await (await importFrom(folder))()).json();
    const stored = await world.app.deps.artifacts.localPath(version.digest);
    await expect(readFile(path.join(stored, 'optimizer.pt'))).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await readFile(path.join(stored, 'adapter_model.safetensors'))).toEqual(WEIGHTS);
  });

  it('refuses a folder outside the roots, by whatever way', async () => {
    const outside = path.join(world.app.dataDir, 'outside');
    await mkdir(outside);
    await writeFile(path.join(outside, 'adapter_config.json'), CONFIG);
    await symlink(outside, path.join(world.app.allowedRoot, 'door'));
    const notAllowed = { status: 422, code: 'path_not_allowed' };
    for (const way of [
      outside,
      `${world.app.allowedRoot}/../data/outside`,
      path.join(world.app.allowedRoot, 'door'),
      'broken',
    ]) {
      await world.expectRefusal(await importFrom(way), notAllowed);
    }
    await world.expectRefusal(await importFrom(path.join(world.app.allowedRoot, 'nowhere')), {
      status: 422,
      code: 'path_not_found',
    });
  });

  it('refuses a link in place of a file, and a folder without the weights', async () => {
    const folder = path.join(world.app.allowedRoot, 'linked');
    await mkdir(folder);
    await writeFile(path.join(folder, 'adapter_config.json'), CONFIG);
    const missing = { status: 422, code: 'invalid_adapter', file: 'adapter_model.safetensors' };
    await world.expectRefusal(await importFrom(folder), missing);
    const pickle = path.join(folder, 'adapter_model.bin');
    await writeFile(pickle, 'pickle');
    const advice = expect.stringContaining('save_pretrained(folder, safe_serialization=True)');
    await world.expectRefusal(await importFrom(folder), {
      status: 422,
      code: 'invalid_adapter',
      file: 'adapter_model.bin',
      reason: 'pickle_refused',
      detail: advice,
    });
    await rm(pickle);
    await symlink('/etc/passwd', path.join(folder, 'adapter_model.safetensors'));
    await world.expectRefusal(await importFrom(folder), {
      status: 422,
      code: 'not_a_plain_file',
      file: 'adapter_model.safetensors',
    });
  });
});

describe('with a manifest', () => {
  const sent = async (way: string, folder: string) => {
    const { id } = await world.ensureAdapter('manifests');
    if (way === 'an archive') return world.uploadTar(id, await tarOfFolder(folder));
    const payload = { base_model_version: 'control', path: folder };
    return request({ method: 'POST', url: `/v1/adapters/${id}/versions`, payload });
  };

  it.each(['a folder', 'an archive'])(
    'takes %s as it was written, and refuses it once it has been changed',
    async (way) => {
      const folder = path.join(world.app.allowedRoot, `manifest of ${way}`);
      const base = await readModelConfig(world.fixture('control').base);
      const adapter = await loadAdapter(world.fixture('control').adapter, base);
      const outcomes = new Map([['row', 0]]);
      await saveAdapter(folder, adapter, { manifest: { baseFingerprint: 'f'.repeat(64) }, outcomes });
      expect(await readdir(folder)).toContain('readapt-outcomes.json');
      const stored = await sent(way, folder);
      expect(stored.statusCode).toBe(201);
      expect(stored.body).not.toContain('readapt-outcomes.json');

      const file = path.join(folder, 'adapter_config.json');
      await writeFile(file, (await readFile(file, 'utf8')).replace('"lora_alpha": 4', '"lora_alpha": 8'));
      await world.expectRefusal(() => sent(way, folder), {
        status: 422,
        code: 'invalid_adapter',
        file: 'adapter_config.json',
        reason: 'adapter_modified',
        detail: expect.stringMatching(/was changed after it was written: has SHA-256 .*, expected .* by readapt\.json/),
      });
      await rm(path.join(folder, 'readapt.json'));
      expect((await sent(way, folder)).statusCode).toBe(201);
    },
  );
});

describe('download', () => {
  it('gives back the bytes that were uploaded, and they load again', async () => {
    const { id } = await world.createAdapter('download');
    const version = (await world.uploadTar(id, rawTar(good()))).json();
    const url = `/v1/adapters/${id}/versions/${version.id}/download`;
    const response = await request({ url });
    expect(response.headers).toMatchObject({
      'content-type': 'application/x-tar',
      'content-disposition': 'attachment; filename="download-1.tar"',
      etag: `"${version.digest}"`,
    });
    const out = path.join(world.app.dataDir, 'downloaded');
    await mkdir(out);
    await pipeline(Readable.from([response.rawPayload]), extract({ cwd: out, strict: true }));
    expect(await readFile(path.join(out, 'download-1', 'adapter_config.json'))).toEqual(CONFIG);
    expect(await readFile(path.join(out, 'download-1', 'adapter_model.safetensors'))).toEqual(WEIGHTS);
    const again = (await world.uploadTar(id, response.rawPayload)).json();
    expect(again).toMatchObject({ number: 2, digest: version.digest, rank: version.rank });
    const unchanged = await request({ url, headers: { 'if-none-match': `"${version.digest}"` } });
    expect([unchanged.statusCode, unchanged.rawPayload.length]).toEqual([304, 0]);
    const among = await request({ url, headers: { 'if-none-match': `"other", W/"${version.digest}"` } });
    expect(among.statusCode).toBe(304);
    const head = await request({ url, method: 'HEAD' });
    expect([head.statusCode, head.headers.etag, head.rawPayload.length]).toEqual([200, `"${version.digest}"`, 0]);
  });
});

describe('tenants', () => {
  it('do not see, change or download what another owns', async () => {
    const source = { base_model_version: 'control', path: world.fixture('control').adapter };
    const mine = await world.createAdapter('private', { source });
    const key = world.other.key;
    const versions = `/v1/adapters/${mine.id}/versions`;
    const version = `${versions}/${mine.latest_version!.id}`;
    for (const url of [`/v1/adapters/${mine.id}`, versions, version, `${version}/download`]) {
      expect((await request({ url, key })).json(), url).toMatchObject({ status: 404, code: 'not_found' });
    }
    const upload = {
      method: 'POST' as const,
      url: `${versions}/upload?base_model_version=control`,
      payload: rawTar(good()),
      headers: TAR,
    };
    await world.expectRefusal(() => request({ ...upload, key }), { status: 404, code: 'not_found' });
    const foreignData = { method: 'POST' as const, url: '/v1/adapters', payload: world.body('theirs') };
    await world.expectRefusal(() => request({ ...foreignData, key }), { status: 404, code: 'not_found' });
    expect((await request({ url: '/v1/adapters', key })).json().data).toEqual([]);
    const reading = await createTestKey(world.app.db, { tenantId: world.acme.id, scopes: ['tenant:read'] });
    await world.expectRefusal(() => request({ ...upload, key: reading }), { status: 403, code: 'forbidden' });
  });
});
