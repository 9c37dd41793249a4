import { inspect } from 'node:util';
import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { Registry } from 'prom-client';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { buildApp } from '../../../src/api/app.ts';
import { loadConfig } from '../../../src/platform/config/config.ts';
import { startHub, type HubFault, type HubServer } from '../../unit/base-sources/support/hub-server.ts';
import { bearer, untilReadable } from '../support/index.ts';
import { contents } from '../support/store-contents.ts';
import { createTerminal } from '../terminal/terminal.ts';
import { CONFIG, createAdapterWorld, WEIGHTS, type AdapterWorld } from './support.ts';

const TOKEN = 'hf_a-secret-of-the-tenant';
const OPERATOR_TOKEN = 'hf_a-secret-of-the-operator';
const PUBLIC = 'public/sentiment';
const TENANTS_OWN = 'acme/sentiment';
const OPERATORS_OWN = 'provider/sentiment';
const FILES = new Map([
  ['README.md', Buffer.from('# An adapter')],
  ['adapter_config.json', CONFIG],
  ['adapter_model.safetensors', WEIGHTS],
  ['training_args.bin', Buffer.from('a pickle')],
]);
const withoutWeights = new Map([...FILES].filter(([name]) => name !== 'adapter_model.safetensors'));
/** Options of `inspect` that leave nothing out. */
const WHOLE = { depth: null, maxArrayLength: null, maxStringLength: null };
const withoutSettings = expect.not.stringMatching(/READAPT_|127\.0\.0\.1/) as string;
const isFile = ({ path }: { path: string }): boolean => path.includes('/resolve/');
const isWeights = ({ path }: { path: string }): boolean => path.endsWith('/adapter_model.safetensors');

interface Version {
  id: string;
  digest: string;
  source: object | null;
}

let hub: HubServer;
let world: AdapterWorld;
let commit: string;
let address: string;
let adapterId: string;
let datasetOfOther: string;

beforeAll(async () => {
  hub = await startHub({ page: 1000 });
  commit = hub.publish(PUBLIC, FILES);
  hub.publish(TENANTS_OWN, FILES, TOKEN);
  hub.publish(OPERATORS_OWN, FILES, OPERATOR_TOKEN);
  for (const repo of ['public/hanging', 'public/unanswered']) hub.publish(repo, FILES);
  world = await createAdapterWorld(['control'], {
    READAPT_HUB_URL: hub.url,
    READAPT_HUB_TOKEN: OPERATOR_TOKEN,
    READAPT_ADAPTER_SOURCES: `hf://public,hf://acme/,hf://${OPERATORS_OWN}`,
    READAPT_ADAPTER_FETCH_TIMEOUT_MS: '5000',
  });
  adapterId = (await world.ensureAdapter('imported')).id;
  const dataset = await world.request({
    method: 'POST',
    url: '/v1/datasets?name=data',
    key: world.other.key,
    headers: { 'content-type': 'application/x-ndjson' },
    payload: ['training', 'search', 'gate']
      .map((split) => JSON.stringify({ prompt: split, completion: 'x', split }))
      .join('\n'),
  });
  expect(dataset.statusCode, dataset.body).toBe(201);
  datasetOfOther = dataset.json<{ id: string }>().id;
  address = await world.app.app.listen({ host: '127.0.0.1', port: 0 });
});
afterAll(async () => {
  await world?.app.close();
  await hub?.close();
});
afterEach(() => {
  hub.fault = standingFault;
  hub.requests.length = 0;
});

const importFrom = (source: unknown, more: object = {}) =>
  world.request({
    method: 'POST',
    url: `/v1/adapters/${adapterId}/versions`,
    payload: { base_model_version: 'control', source },
    ...more,
  });
const importPublic = () => importFrom(`hf://${PUBLIC}`);

/** Fault of the repositories from which nothing more comes. */
const standingFault: HubServer['fault'] = (request) => {
  if (!isWeights(request) || !request.large) return null;
  if (request.path.includes('/public/hanging/')) return { hangAfter: 10 };
  return request.path.includes('/public/unanswered/') ? { status: 502 } : null;
};

/** Builds an app on the same database and store with other settings of the sources. */
function createOtherApp(env: Record<string, string>): Promise<FastifyInstance> {
  const { adapterSources, adapterHubToken, hubToken } = loadConfig(env);
  const config = { ...world.app.config, adapterSources, adapterHubToken, hubToken };
  return buildApp(config, { ...world.app.deps, metrics: new Registry() });
}

const bodyOf = (name: string, source: unknown, more: object = {}) =>
  world.body(name, { source: { base_model_version: 'control', source }, ...more });
const createOn = (app: FastifyInstance, key: string, payload: object) =>
  app.inject({ method: 'POST', url: '/v1/adapters', headers: bearer(key), payload });
const createOfOther = (repo: string, name: string) =>
  createOn(world.app.app, world.other.key, bodyOf(name, `hf://${repo}`, { dataset_id: datasetOfOther }));

/** Fetches that last for seconds, during which other tests run. */
let hanging: Promise<LightMyRequestResponse>[];
let unanswered: Promise<LightMyRequestResponse>;

test('fetches that hang are few for each tenant', async () => {
  hub.fault = standingFault;
  hanging = [1, 2, 3, 4].map((number) => createOfOther('public/hanging', `hanging-${number}`));
  await expect.poll(() => hub.requests.filter((one) => isWeights(one) && one.large)).toHaveLength(4);
  const refused = await createOfOther(PUBLIC, 'fifth');
  expect(refused.json()).toMatchObject({ status: 429, code: 'too_many_fetches' });
  expect(refused.headers['retry-after']).toBe('2');
  unanswered = importFrom('hf://public/unanswered');
  const ofAnother = await importPublic();
  expect(ofAnother.statusCode, ofAnother.body).toBe(201);
});

describe('a version of a hub', () => {
  test('has the files of the commit, as an upload of the same files has, and says where it comes from', async () => {
    const answer = await importFrom(`hf://${PUBLIC}@main`);
    expect(answer.statusCode, answer.body).toBe(201);
    const version = answer.json<Version>();
    const source = { kind: 'hub', repo: PUBLIC, revision: 'main', commit, bucket: null, prefix: null };
    expect(version.source).toEqual(source);
    const uploaded = await world.request({
      method: 'POST',
      url: `/v1/adapters/${adapterId}/versions`,
      payload: { base_model_version: 'control', path: world.fixture('control').adapter },
    });
    expect(uploaded.json()).toMatchObject({ source: null });
    const shown = await world.request({ url: `/v1/adapters/${adapterId}/versions/${version.id}` });
    expect(shown.json()).toMatchObject({ source, digest: version.digest });
    await untilReadable(world.app.db);
    const listed = await world.app.request({ url: `/v1/audit-log?subject_id=${version.id}` });
    expect(listed.statusCode, listed.body).toBe(200);
    expect(listed.json<{ data: object[] }>().data).toContainEqual(
      expect.objectContaining({ subject_id: version.id, after: expect.objectContaining({ source }) as object }),
    );
    expect(hub.requests.filter(isFile).map(({ path }) => path.split('/').at(-1))).not.toContain('training_args.bin');
  });

  test('is the first one of an adapter that is created with it', async () => {
    const source = { base_model_version: 'control', source: { kind: 'hub', repo: PUBLIC, revision: commit } };
    const created = await world.createAdapter('from-hub', { source });
    expect(created.latest_version).toMatchObject({ source: { repo: PUBLIC, revision: commit, commit } });
    const listed = await world.request({ url: '/v1/adapters?name=from-hub' });
    expect(listed.json()).toMatchObject({ data: [{ latest_version: { source: { commit } } }] });
  });

  test('a branch that moves on does not change what was imported', async () => {
    const first = (await importPublic()).json<Version>();
    const later = hub.publish(PUBLIC, new Map([...FILES, ['README.md', Buffer.from('# Another')]]));
    const second = (await importPublic()).json<Version>();
    expect(second.source).toMatchObject({ commit: later });
    expect(second.digest).not.toBe(first.digest);
    const again = (await importFrom(`hf://${PUBLIC}@${commit}`)).json<Version>();
    expect(again.digest).toBe(first.digest);
  });
});

describe('readapt adapters push', () => {
  const push = (...args: string[]) => {
    const env = { READAPT_URL: address, READAPT_API_KEY: world.acme.key, HF_TOKEN: TOKEN };
    const version = ['--name', 'imported', '--base-version', 'control'];
    return createTerminal(world.app.dataDir).run(['adapters', 'push', ...args, ...version], { env });
  };

  test('has the service fetch what it names, with a token if it is told to send it', async () => {
    const [pushed, refused, shown] = await Promise.all([
      push(`hf://${PUBLIC}`),
      push(`hf://${TENANTS_OWN}`),
      push(`hf://${TENANTS_OWN}@main`, '--hub-token', '--json'),
    ]);
    expect(pushed, pushed.stderr).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/has version \d+: adv_/) as string,
    });
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('`source.token`') as string });
    expect(shown, shown.stderr).toMatchObject({ code: 0 });
    expect(JSON.parse(shown.stdout)).toMatchObject({ version: { source: { repo: TENANTS_OWN, revision: 'main' } } });
  });

  test('sends a token with nothing else', async () => {
    const pushed = await push('./folder', '--hub-token');
    expect(pushed).toMatchObject({ code: 2, stderr: expect.stringContaining('--hub-token is for hf://') as string });
  });
});

test('fetches that hang end, and so does one that gets no answers any more, and nothing of them is left', async () => {
  for (const answer of await Promise.all(hanging)) {
    expect(answer.json()).toMatchObject({ status: 503, code: 'source_unreachable' });
    expect(answer.body).toContain('READAPT_ADAPTER_FETCH_TIMEOUT_MS');
  }
  expect((await unanswered).json()).toMatchObject({ status: 503, code: 'source_unreachable' });
  await expect.poll(() => hub.open()).toBe(0);
  expect(await world.app.db.adapter.count({ where: { tenantId: world.other.id } })).toBe(0);
  const versions = await world.request({ url: `/v1/adapters/${adapterId}/versions` });
  expect(versions.body).toContain(PUBLIC);
  expect(versions.body).not.toContain('public/unanswered');
  expect(await contents(world.app.db, world.app.dataDir)).toMatchObject({ temporary: [] });
  const next = await createOfOther(PUBLIC, 'next');
  expect(next.statusCode, next.body).toBe(201);
});

describe('tokens', () => {
  test("the operator's token reads nothing for a tenant", async () => {
    await world.expectRefusal(() => importFrom(`hf://${OPERATORS_OWN}`), {
      status: 422,
      code: 'source_unauthorized',
      detail: expect.stringContaining('`source.token`') as string,
    });
    expect(hub.requests.length).toBeGreaterThan(0);
    expect(hub.requests.every(({ authorization }) => authorization === null)).toBe(true);
    const byOperator = await importFrom(`hf://${OPERATORS_OWN}`, { key: world.app.operatorKey });
    expect(byOperator.statusCode, byOperator.body).toBe(201);
  });

  test("the tenant's own goes to the hub alone, for this import, and is nowhere afterwards", async () => {
    const answer = await importFrom({ kind: 'hub', repo: TENANTS_OWN, token: TOKEN });
    expect(answer.statusCode, answer.body).toBe(201);
    const seen = hub.requests.filter(isWeights);
    expect(seen).toMatchObject([
      { large: false, authorization: `Bearer ${TOKEN}` },
      { large: true, authorization: null },
    ]);
    const { db } = world.app;
    await untilReadable(db);
    const everything = [
      answer.body,
      (await world.app.request({ url: '/v1/audit-log' })).body,
      (await world.app.request({ url: '/v1/events' })).body,
      inspect(await db.adapterVersion.findMany(), WHOLE),
      inspect(await db.idempotencyRecord.findMany(), WHOLE),
    ];
    expect(everything.join('\n')).toContain(answer.json<Version>().digest);
    expect(everything.join('\n')).not.toContain(TOKEN);
    const wrong = await importFrom({ kind: 'hub', repo: TENANTS_OWN, token: 'hf_wrong' });
    expect(wrong.json()).toMatchObject({ code: 'source_unauthorized' });
    expect(wrong.body).not.toContain('hf_wrong');
    expect(wrong.body).not.toContain(hub.url);
  });
});

describe('what is refused without a request to the hub', () => {
  test.each([
    ['an organization that no place names', 'hf://elsewhere/sentiment', 422, 'source_not_allowed'],
    ['one that begins with the name of one', 'hf://public-2/sentiment', 422, 'source_not_allowed'],
    ['a repository beside the one that is named', 'hf://provider/other', 422, 'source_not_allowed'],
    ['a bucket', 's3://artifacts/sha256', 422, 'source_not_allowed'],
    ['a path that leads up', 'hf://public/../provider', 422, 'invalid_source'],
    ['a repository that leads up', { kind: 'hub', repo: '../api' }, 400, 'invalid_request'],
    ['an address', 'https://169.254.169.254/latest', 422, 'invalid_source'],
    ['a file of the machine', 'file:///etc/passwd', 422, 'invalid_source'],
    [
      'an upload of a base model',
      `upload://bmu_${'0'.repeat(8)}-0000-7000-8000-${'0'.repeat(12)}`,
      422,
      'invalid_source',
    ],
    ['a folder outside of the roots', { kind: 'folder', path: '/etc' }, 422, 'path_not_allowed'],
  ])('%s', async (_what, source, status, code) => {
    await world.expectRefusal(() => importFrom(source), { status, code });
    expect(hub.requests).toEqual([]);
  });

  test.each([
    ['neither path nor source', {}],
    ['both', { path: '/x', source: `hf://${PUBLIC}` }],
  ])('%s', async (_what, given) => {
    const payload = { base_model_version: 'control', ...given };
    await world.expectRefusal(() => importFrom(null, { payload }), { status: 422, code: 'invalid_source' });
  });

  test('everything, where the operator has allowed nothing', async () => {
    const closed = await createOtherApp({});
    try {
      const payload = bodyOf('mine', `hf://${PUBLIC}`);
      const refused = await createOn(closed, world.acme.key, payload);
      expect(refused.json()).toMatchObject({ code: 'source_not_allowed' });
      expect(refused.body).toContain('READAPT_ADAPTER_SOURCES');
      expect(hub.requests).toEqual([]);
      const answer = await createOn(closed, world.app.operatorKey, { ...payload, tenant_id: world.acme.id });
      expect(answer.statusCode, answer.body).toBe(201);
    } finally {
      await closed.close();
    }
  });
});

describe('a repository that was renamed', () => {
  test('is imported by its old name where a place allows the new one', async () => {
    hub.publish('public/renamed', FILES);
    hub.rename('public/old', 'public/renamed');
    const answer = await importFrom('hf://public/old');
    expect(answer.statusCode, answer.body).toBe(201);
  });

  test('is refused where no place allows the new one', async () => {
    hub.publish('elsewhere/moved', FILES);
    hub.rename('public/moved', 'elsewhere/moved');
    await world.expectRefusal(() => importFrom('hf://public/moved'), {
      status: 422,
      code: 'source_not_allowed',
      detail: expect.stringContaining('hf://public/moved@main, which is elsewhere/moved now, is not allowed') as string,
    });
    expect(hub.requests.every(({ path }) => path.includes('/revision/'))).toBe(true);
    const byOperator = await importFrom('hf://public/moved', { key: world.app.operatorKey });
    expect(byOperator.statusCode, byOperator.body).toBe(201);
  });

  test('is the same in other letters', async () => {
    hub.publish('Provider/Sentiment', FILES);
    hub.rename('provider/sentiment', 'Provider/Sentiment');
    const answer = await importFrom(`hf://${OPERATORS_OWN}`);
    expect(answer.statusCode, answer.body).toBe(201);
  });
});

describe('what is refused of a hub', () => {
  const huge = new Map([
    ...FILES,
    ...Array.from({ length: 10_000 }, (_, at) => [`${at}.txt`, Buffer.from('')] as const),
  ]);
  const pickled = new Map([...withoutWeights, ['adapter_model.bin', Buffer.from('a pickle')]]);
  const broken = new Map([...FILES, ['adapter_model.safetensors', Buffer.from('not weights at all')]]);

  test.each<[string, Map<string, Buffer> | null, HubFault | null, object]>([
    ['a repository that is not there', null, null, { status: 422, code: 'source_not_found' }],
    ['no weights', withoutWeights, null, { status: 422, code: 'invalid_adapter', reason: 'missing_file' }],
    ['a pickle', pickled, null, { code: 'invalid_adapter', file: 'adapter_model.bin', reason: 'pickle_refused' }],
    ['weights that are none', broken, null, { code: 'invalid_adapter', file: 'adapter_model.safetensors' }],
    ['10,000 files', huge, null, { status: 422, code: 'source_refused' }],
    ['10 GB', FILES, { declaredBytes: 10 * 2 ** 30 }, { status: 413, code: 'adapter_too_large', file: 'README.md' }],
    ['a negative size', FILES, { declaredBytes: -1 }, { status: 422, code: 'source_refused' }],
    ['a refusal', FILES, { status: 400 }, { status: 422, code: 'source_refused', detail: withoutSettings }],
    ['an error', FILES, { status: 500 }, { status: 503, code: 'source_unreachable' }],
    ['a limit', FILES, { status: 429, retryAfter: 3 }, { status: 503, code: 'source_unreachable' }],
  ])('%s', async (what, files, fault, problem) => {
    const repo = `public/${what.replaceAll(/[^a-z0-9]/gi, '-')}`;
    if (files !== null) hub.publish(repo, files);
    hub.fault = () => fault;
    await world.expectRefusal(() => importFrom(`hf://${repo}`), problem);
    const fetched = hub.requests.filter(isFile).length;
    expect(fetched).toBeLessThan(what === 'weights that are none' ? 5 : 1);
    expect(hub.requests.length).toBeLessThan(8);
  });

  test('what has no room in the quota is not fetched', async () => {
    const quotas = { method: 'PUT', url: `/v1/tenants/${world.acme.id}/quotas`, key: world.app.operatorKey } as const;
    const used = await world.request({ url: `/v1/tenants/${world.acme.id}/quotas` });
    const { quotas: before } = used.json<{ quotas: { name: string; used: number }[] }>();
    const stored = before.find(({ name }) => name === 'stored_bytes')!.used;
    await world.request({ ...quotas, payload: { stored_bytes: stored + WEIGHTS.length } });
    try {
      await world.expectRefusal(importPublic, { status: 403, code: 'quota_exceeded' });
      expect(hub.requests.filter(isFile)).toEqual([]);
    } finally {
      await world.request({ ...quotas, payload: {} });
    }
  });
});

describe('faults while a file is fetched', () => {
  test('a connection that is cut goes on from the byte where it was', async () => {
    let cuts = 2;
    hub.fault = (request) => (isWeights(request) && request.large && cuts-- > 0 ? { cutAfter: 100 } : null);
    const answer = await importPublic();
    expect(answer.statusCode, answer.body).toBe(201);
    const ranges = hub.requests.filter((request) => isWeights(request) && request.large).map(({ range }) => range);
    expect(ranges).toEqual([null, 'bytes=100-', 'bytes=200-']);
  });

  test.each<[string, HubFault, object]>([
    ['wrong bytes, twice', { corrupt: true }, { status: 422, code: 'source_corrupt' }],
    ['more bytes than it says', { surplus: true }, { status: 422, code: 'source_changed' }],
    ['files that are gone', { status: 404 }, { status: 422, code: 'source_not_found' }],
  ])('%s', async (_what, fault, problem) => {
    hub.fault = (request) => (isWeights(request) && request.large ? fault : null);
    await world.expectRefusal(importPublic, problem);
  });

  test('no fetch waits longer for a hub than others can wait for its slot', async () => {
    hub.fault = (request) => (isWeights(request) && request.large ? { status: 429, retryAfter: 3 } : null);
    const answer = await importPublic();
    expect(answer.json()).toMatchObject({ status: 503, code: 'source_unreachable' });
    expect(answer.headers['retry-after']).toBe('3');
    expect(hub.requests.filter((request) => isWeights(request) && request.large)).toHaveLength(1);
  });
});

describe('a service with a token for all tenants', () => {
  let shared: FastifyInstance;

  beforeAll(async () => {
    shared = await createOtherApp({ READAPT_ADAPTER_SOURCES: 'hf://acme', READAPT_ADAPTER_HUB_TOKEN: TOKEN });
  });
  afterAll(() => shared?.close());

  const create = (name: string, source: unknown) => createOn(shared, world.acme.key, bodyOf(name, source));

  test('reads with it for those who give none, and no place beside those that are allowed', async () => {
    const answer = await create('shared', `hf://${TENANTS_OWN}`);
    expect(answer.statusCode, answer.body).toBe(201);
    expect(answer.body).not.toContain(TOKEN);
    const own = await create('own', { kind: 'hub', repo: TENANTS_OWN, token: 'hf_wrong' });
    expect(own.json()).toMatchObject({ code: 'source_unauthorized' });
    expect((await create('elsewhere', `hf://${PUBLIC}`)).json()).toMatchObject({ code: 'source_not_allowed' });
  });

  test('ends a fetch when the client goes away, long before its time is over', async () => {
    const { db } = world.app;
    const origin = await shared.listen({ host: '127.0.0.1', port: 0 });
    hub.fault = (request) => (isWeights(request) && request.large ? { hangAfter: 10 } : null);
    const client = new AbortController();
    const gone = fetch(`${origin}/v1/adapters`, {
      method: 'POST',
      headers: { ...bearer(world.acme.key), 'content-type': 'application/json' },
      body: JSON.stringify(bodyOf('gone', `hf://${TENANTS_OWN}`)),
      signal: client.signal,
    });
    await expect.poll(() => hub.requests.some((request) => isWeights(request) && request.large)).toBe(true);
    expect(await db.uploadReservation.count()).toBe(1);
    client.abort();
    await expect(gone).rejects.toThrow(/abort/);
    await expect.poll(() => hub.open()).toBe(0);
    await expect.poll(() => db.uploadReservation.count()).toBe(0);
    expect(await db.adapter.count({ where: { name: 'gone' } })).toBe(0);
  });
});
