import { cp } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAdapterInspector } from '../../../src/fleet/adapters/index.ts';
import { loadConfig } from '../../../src/platform/config/config.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { createSecretBox } from '../../../src/platform/config/secret-box.ts';
import { startHub, type HubServer } from '../../unit/base-sources/support/hub-server.ts';
import {
  BASE,
  createTinyFamily,
  removeTinyFamily,
  tasteRows,
  toJsonl,
  type TinyFamily,
} from '../../unit/training/support/tiny-task.ts';
import { createTestApp, createTestKey, untilReadable, type TestApp } from '../support/index.ts';

const REPO = 'acme/assistant';
const TOKEN = 'hf_a-secret-of-the-operator';
const COMMIT = /^[0-9a-f]{40}$/;

let hub: HubServer;
let app: TestApp;
let family: TinyFamily;
let inspector: ReturnType<typeof createAdapterInspector>;
let commit: string;

beforeAll(async () => {
  hub = await startHub();
  family = await createTinyFamily();
  inspector = createAdapterInspector(loadConfig({}), createLogger({ level: 'silent', pretty: false }));
  app = await createTestApp({ env: { READAPT_HUB_URL: hub.url }, deps: { inspector } });
  commit = await hub.publishFolder(REPO, BASE, TOKEN);
  await hub.publishFolder('acme/public', BASE);
  await app.request({ method: 'POST', url: '/v1/base-models', payload: { name: 'assistant' } });
});
afterAll(async () => {
  await app?.close();
  await inspector?.close();
  await hub?.close();
  await removeTinyFamily(family);
});

const register = (body: object) =>
  app.request({ method: 'POST', url: '/v1/base-models/assistant/versions', payload: { rollout: false, ...body } });

describe('a version of a hub', () => {
  test('is pinned to a commit, with the files that workers fetch, and its token is never shown', async () => {
    const source = { kind: 'hub', repo: REPO, token: TOKEN };
    const answer = await register({ version: '1', source });
    expect(answer.statusCode).toBe(201);
    const { base_model_version: version } = answer.json<{
      base_model_version: { id: string; source: { files: object[] } };
    }>();
    expect(version).toMatchObject({
      path: null,
      serving_name: REPO,
      state: 'registered',
      architecture: 'llama',
      source: { kind: 'hub', repo: REPO, revision: 'main', commit, has_token: true },
    });
    expect(version.source.files).toContainEqual(
      expect.objectContaining({ name: 'model.safetensors', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string }),
    );
    const { sealed } = await app.db.baseSourceToken.findUniqueOrThrow({ where: { baseModelVersionId: version.id } });
    expect(createSecretBox(app.config.secretKeys)!.open(sealed, version.id)).toBe(TOKEN);
    await untilReadable(app.db);
    const shown = [
      answer.body,
      (await app.request({ url: `/v1/base-model-versions/${version.id}` })).body,
      (await app.request({ url: '/v1/audit-log' })).body,
      (await app.request({ url: '/v1/events' })).body,
      sealed,
      JSON.stringify(await app.db.baseModelVersion.findUnique({ where: { id: version.id } })),
    ].join('\n');
    expect(shown).toContain(commit);
    expect(shown).not.toContain(TOKEN);
    // An earlier version of the service running beside this one finds no folder at this path and leaves the work to
    // others.
    expect(await app.db.baseModelVersion.findUnique({ where: { id: version.id } })).toMatchObject({
      path: `hf://${REPO}@${commit}`,
    });
  });

  test('is named by a text, too, and tenants see neither source nor folder', async () => {
    const answer = await register({ version: 'text', source: 'hf://acme/public@main', serving_name: 'served' });
    const { id, source } = answer.json<{ base_model_version: { id: string; source: object } }>().base_model_version;
    expect(source).toMatchObject({
      repo: 'acme/public',
      has_token: false,
      commit: expect.stringMatching(COMMIT) as string,
    });
    const { id: tenantId } = (
      await app.request({ method: 'POST', url: '/v1/tenants', payload: { name: 'reader' } })
    ).json<{ id: string }>();
    const key = await createTestKey(app.db, { tenantId });
    const seen = await app.request({ url: `/v1/base-model-versions/${id}`, key });
    expect(seen.json()).toMatchObject({ source: null, path: null, serving_name: 'served' });
  });

  test('is what adapters are checked against before any worker has fetched it', async () => {
    await register({ version: 'for-adapters', source: 'hf://acme/public' });
    const { id: tenantId } = (
      await app.request({ method: 'POST', url: '/v1/tenants', payload: { name: 'owner' } })
    ).json<{ id: string }>();
    const dataset = await app.request({
      method: 'POST',
      url: `/v1/datasets?name=rows&tenant_id=${tenantId}`,
      headers: { 'content-type': 'application/x-ndjson' },
      payload: toJsonl(tasteRows(30).map((row, at) => ({ ...row, split: ['training', 'search', 'gate'][at % 3] }))),
    });
    expect(dataset.statusCode, dataset.body).toBe(201);
    await cp(family.adapter, path.join(app.allowedRoot, 'adapter'), { recursive: true });
    const source = { base_model_version: 'for-adapters', path: path.join(app.allowedRoot, 'adapter') };
    const payload = {
      tenant_id: tenantId,
      name: 'a',
      base_model: 'assistant',
      dataset_id: dataset.json<{ id: string }>().id,
      metric: 'loss',
      source,
    };
    const answer = await app.request({
      method: 'POST',
      url: '/v1/adapters',
      payload: { ...payload, gate: { kind: 'absolute', target: 1 } },
    });
    expect(answer.json()).toMatchObject({ name: 'a' });
    expect(answer.statusCode).toBe(201);
  });
});

describe('what is refused', () => {
  test.each([
    ['neither path nor source', {}, { status: 422, code: 'invalid_source' }, /neither is given/],
    [
      'path and source',
      { path: '/x', source: 'hf://acme/public' },
      { status: 422, code: 'invalid_source' },
      /both are given/,
    ],
    [
      'an address',
      { source: 'https://169.254.169.254/latest' },
      { status: 422, code: 'invalid_source' },
      /expected hf:\/\/org\/name/,
    ],
    [
      'a file of the machine',
      { source: 'file:///etc/passwd' },
      { status: 422, code: 'invalid_source' },
      /expected hf:/,
    ],
    [
      'a folder outside of the roots',
      { source: '/etc' },
      { status: 422, code: 'path_not_allowed' },
      /READAPT_ALLOWED_ROOTS/,
    ],
    [
      'a model that is not there',
      { source: 'hf://acme/nothing' },
      { status: 422, code: 'source_not_found' },
      /READAPT_HUB_URL/,
    ],
    ['a private model', { source: `hf://${REPO}` }, { status: 422, code: 'source_unauthorized' }, /READAPT_HUB_TOKEN/],
    [
      'a repository that leads away',
      { source: { kind: 'hub', repo: '../api' } },
      { status: 400, code: 'invalid_request' },
      /repo/,
    ],
  ])('%s', async (_what, body, problem, message) => {
    const answer = await register({ version: 'refused', ...body });
    expect(answer.json()).toMatchObject(problem);
    expect(answer.body).toMatch(message);
    expect(await app.db.baseModelVersion.count({ where: { version: 'refused' } })).toBe(0);
  });

  test('a hub that does not answer', async () => {
    hub.fault = () => ({ status: 500 });
    const answer = await register({ version: 'refused', source: 'hf://acme/public' });
    hub.fault = () => null;
    expect(answer.json()).toMatchObject({ status: 503, code: 'source_unreachable' });
  });

  test('a config.json that is none of a decoder', async () => {
    hub.publish(
      'acme/other',
      new Map([
        ['config.json', Buffer.from('{"model_type":"bert"}')],
        ['model.safetensors', Buffer.alloc(9)],
      ]),
    );
    const answer = await register({ version: 'refused', source: 'hf://acme/other' });
    expect(answer.json()).toMatchObject({ status: 422, code: 'invalid_base_model', file: 'config.json' });
  });
});
