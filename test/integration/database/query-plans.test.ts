import { readFile } from 'node:fs/promises';
import type { FastifyInstance } from 'fastify';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildApp } from '../../../src/api/app.ts';
import { NO_QUOTAS } from '../../../src/platform/config/quotas.ts';
import { createSweeper, type QueueProducer } from '../../../src/platform/queue/index.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { jobRecoverySource } from '../../../src/fleet/rollouts/order/job-recovery.ts';
import { rolloutRecoverySource } from '../../../src/fleet/rollouts/index.ts';
import { MOST_PENDING, readServiceState } from '../../../src/operations/metrics/service-state.repository.ts';
import { createOutcomeRequests, outcomesRecoverySource } from '../../../src/fleet/outcomes/index.ts';
import { createJobRooms } from '../../../src/tenants/quotas/index.ts';
import { adaptationRepository } from '../../../workers/adaptations/adaptation.repository.ts';
import { bearer, createTestApp, createTestKey, type TestApp } from '../support/index.ts';
import { recordPlans, type PlanRecorder, type Statement } from '../support/query-plans.ts';
import { fillTables, LARGE, type LargeTables } from './large-tables.ts';

/**
 * Largest number of rows that a list of up to 50 entries may read and sort. Entries have parts in other tables, and
 * filters skip some rows; a table has 6000 rows or more.
 */
const BOUND = 1000;

let service: TestApp;
let plans: PlanRecorder;
let large: LargeTables;
let tenantKey: string;
/** Positions after which few jobs, and few current versions, have changed. */
let positions: { jobs: string; currentVersions: string };
/** Service on the connections whose plans are recorded. */
let app: FastifyInstance;

const ask = (url: string, { key = service.operatorKey, etag = '' } = {}) =>
  app.inject({ url, headers: { ...bearer(key), ...(etag === '' ? {} : { 'if-none-match': etag }) } });

beforeAll(async () => {
  service = await createTestApp();
  large = await fillTables(service.database.url);
  tenantKey = await createTestKey(service.db, { tenantId: large.tenant });
  positions = await readPositions();
  plans = recordPlans(service.database.url);
  app = await buildApp(service.config, { ...service.deps, db: plans.db, metrics: new Registry() });
  // Computes the figures of all ended jobs once, for all later answers.
  for (const key of [service.operatorKey, tenantKey]) await ask(`/v1/rollouts/${large.rollout}`, { key });
});
afterAll(async () => {
  await app.close();
  await plans.close();
  await service.close();
});

/** Lists the statements of some work that read or sort more rows than the bound, with their plans. */
async function excesses(work: () => Promise<unknown>, bound = BOUND): Promise<string[]> {
  const statements = await plans.record(work);
  expect(statements.length).toBeGreaterThan(0);
  return excessesOf(statements, bound);
}

function excessesOf(statements: readonly Statement[], bound = BOUND): string[] {
  return statements
    .filter(({ read, sorted, wholeTables }) => {
      return read > bound || sorted > bound || wholeTables.some(({ rows }) => rows > bound);
    })
    .map(({ sql, read, sorted, plan }) => `reads ${read} and sorts ${sorted} rows: ${sql}\n${plan}`);
}

/**
 * Statements of a request without those that look up its key (once a second) and take tokens of its rate limit (once a
 * minute).
 */
const ofRequest = (all: readonly Statement[]) => all.filter(({ sql }) => !/api_keys|rate_buckets/.test(sql));

/** Queries of each list, with placeholders such as `TENANT` for identifiers. */
const LISTS: Record<string, string[]> = {
  '/v1/tenants': [''],
  '/v1/api-keys': ['', 'tenant_id=TENANT'],
  '/v1/base-models': [''],
  '/v1/base-model-uploads': ['', 'state=open', 'files_digest=DIGEST', 'state=open&files_digest=DIGEST'],
  '/v1/base-models/{model}/versions': [''],
  '/v1/base-model-versions/{id}/evolutions': [''],
  '/v1/datasets': ['', 'tenant_id=TENANT', 'name=data-1', 'tenant_id=TENANT&name=data-1'],
  '/v1/adapters': [
    '',
    'tenant_id=TENANT',
    'name=adapter-5',
    'tenant_id=TENANT&name=adapter-5',
    'base_model_version_id=ALL_ARE_ON',
    'base_model_version_id=FEW_ARE_ON',
    'base_model_version_id=FEW_ARE_ON&tenant_id=TENANT',
    'not_on=FEW_ARE_ON',
    'not_on=FEW_ARE_ON&tenant_id=TENANT',
    'base_model_version_id=ALL_ARE_ON&not_on=FEW_ARE_ON',
    'label=tier:gold',
    'label=region:eu',
    'label=customer:c5',
    'label=tier:gold&label=customer:c5',
    'label=tier:gold&label=region:eu',
    'label=region:eu&tenant_id=TENANT',
    'label=tier:gold&tenant_id=TENANT&name=adapter-5',
    'label=region:eu&not_on=FEW_ARE_ON',
    'label=tier:gold&base_model_version_id=FEW_ARE_ON',
    'at_risk_on=ALL_ARE_ON',
    'at_risk_on=FEW_ARE_ON',
    'at_risk_on=ALL_ARE_ON&tenant_id=TENANT',
    'sort=name',
    'sort=-name&tenant_id=TENANT',
    'sort=created',
    'sort=name&label=region:eu',
    'sort=name&label=tier:gold',
    'sort=name&base_model_version_id=FEW_ARE_ON',
  ],
  '/v1/base-model-versions/{id}/current': ['', 'changed_after=0', 'changed_after=CURRENT_POSITION'],
  '/v1/adapters/{id}/versions': [''],
  '/v1/adapters/{id}/versions/{version_id}/negative-flips': [''],
  '/v1/rollouts': [
    '',
    'state=adapting',
    'state=completed',
    'state=adapting&state=analyzing',
    'state=adapting&state=completed',
    'base_model=MODEL',
    'base_model=OLD_MODEL',
    'base_model=MODEL&state=adapting',
    'sort=accepted',
    'sort=accepted&state=completed',
  ],
  '/v1/jobs': [
    '',
    'rollout_id=ROLLOUT',
    'rollout_id=ROLLOUT&state=fine_tuning',
    'rollout_id=ROLLOUT&state=ready',
    'rollout_id=ROLLOUT&kind=adaptation',
    'rollout_id=ROLLOUT&tenant_id=TENANT',
    'rollout_id=ROLLOUT&sort=created',
    'rollout_id=ROLLOUT&sort=finished',
    'rollout_id=ROLLOUT&sort=-finished&state=ready',
    'rollout_id=ROLLOUT&sort=ttr',
    'rollout_id=ROLLOUT&sort=-ttr&tenant_id=TENANT',
    'rollout_id=ROLLOUT&label=tier:gold',
    'rollout_id=ROLLOUT&label=region:eu',
    'rollout_id=ROLLOUT&label=tier:gold&sort=-finished',
    'sort=created',
    'sort=finished',
    'sort=-finished&tenant_id=TENANT',
    'sort=-finished&state=ready',
    'sort=-finished&state=ready&state=failed',
    'sort=ttr',
    'sort=-ttr&tenant_id=TENANT',
    'sort=-ttr&label=tier:gold',
    'sort=-ttr&label=region:eu',
    'label=tier:gold',
    'label=region:eu',
    'label=customer:c5',
    'label=tier:gold&label=customer:c5',
    'label=tier:gold&tenant_id=TENANT',
    'label=region:eu&tenant_id=TENANT',
    'label=tier:gold&state=queued',
    'label=region:eu&state=ready',
    'adapter_id=ADAPTER',
    'tenant_id=TENANT',
    'state=fine_tuning',
    'state=fine_tuning&state=queued',
    'state=ready&state=failed',
    'rollout_id=ROLLOUT&state=failed&state=queued&state=ready',
    'updated_since=RECENTLY',
    'updated_since=RECENTLY&tenant_id=TENANT',
    'changed_after=0',
    'changed_after=0&rollout_id=ROLLOUT',
    'changed_after=0&tenant_id=TENANT',
    'changed_after=POSITION',
    'changed_after=POSITION&rollout_id=ROLLOUT',
    'changed_after=POSITION&tenant_id=TENANT',
    'changed_after=0&label=tier:gold',
    'changed_after=0&label=region:eu',
  ],
  '/v1/jobs/{id}/search-points': [''],
  '/v1/jobs/{id}/metrics': ['limit=100', 'limit=100&since_id=6000', 'limit=100&name=loss'],
  '/v1/events': ['', 'after=POSITION', 'subject_id=JOB'],
  '/v1/jobs/{id}/events': ['', 'after=POSITION'],
  '/v1/rollouts/{id}/events': ['', 'after=POSITION'],
  '/v1/audit-log': ['', 'after=POSITION', 'subject_id=JOB'],
  '/v1/workers': [''],
  '/v1/rollout-forecasts': ['', 'base_model_version_id=ALL_ARE_ON', 'base_model_version_id=FEW_ARE_ON'],
  '/v1/replicas': [''],
  '/v1/replicas/{id}/adapters': ['', 'state=failed', 'state=loaded'],
  '/v1/webhook-endpoints': ['', 'tenant_id=TENANT'],
  '/v1/webhook-endpoints/{id}/deliveries': ['', 'state=pending', 'state=failed'],
};

/** Lists that tenants may not see. */
const OPERATORS = [
  ...['/v1/tenants', '/v1/base-model-uploads', '/v1/workers', '/v1/rollout-forecasts'],
  ...['/v1/replicas', '/v1/replicas/{id}/adapters'],
];

/** Lists that are paged by cursors. */
const CURSORS = Object.keys(LISTS).filter(
  (path) => !path.endsWith('/events') && !['/v1/audit-log', '/v1/jobs/{id}/metrics'].includes(path),
);

function subjectOf(path: string): string {
  if (path.startsWith('/v1/webhook-endpoints')) return large.endpoint;
  if (path.startsWith('/v1/replicas')) return large.replica;
  if (path.endsWith('/current')) return large.baseModelVersion;
  if (path.startsWith('/v1/base-model-versions')) return large.nextBaseModelVersion;
  return path.startsWith('/v1/adapters') ? large.adapter : large.job;
}

async function readPositions(): Promise<typeof positions> {
  const [last] = await service.db.$queryRaw<{ position: string }[]>`
    SELECT change_transaction_id || '-' || change_seq AS position FROM jobs ORDER BY change_seq DESC LIMIT 1 OFFSET 20`;
  const [moved] = await service.db.$queryRaw<{ position: string }[]>`
    SELECT change_transaction_id || '-' || change_seq AS position FROM current_versions
    WHERE base_model_version_id = ${large.baseModelVersion}
    ORDER BY change_transaction_id DESC, change_seq DESC LIMIT 1 OFFSET 20`;
  return { jobs: last!.position, currentVersions: moved!.position };
}

async function get(path: string, query: string, key: string): Promise<{ next_cursor?: string | null }> {
  const filled = query
    .replace('CURRENT_POSITION', positions.currentVersions)
    .replace('DIGEST', `sha256:${'5'.padStart(64, '0')}`)
    .replace('TENANT', large.tenant)
    .replace('ROLLOUT', large.rollout)
    .replace('ADAPTER', large.adapter)
    .replace('JOB', large.job)
    .replace('ALL_ARE_ON', large.baseModelVersion)
    .replace('FEW_ARE_ON', large.nextBaseModelVersion)
    .replace('OLD_MODEL', large.oldBaseModel)
    .replace('MODEL', large.baseModel)
    .replace('RECENTLY', encodeURIComponent(large.recently))
    .replace('POSITION', positions.jobs);
  const url = path
    .replace('{model}', large.baseModel)
    .replace('{version_id}', large.version)
    .replace('/rollouts/{id}', `/rollouts/${large.rollout}`)
    .replace('{id}', subjectOf(path));
  const answer = await ask(`${url}?${filled}`, { key });
  expect(answer.statusCode, answer.body).toBe(200);
  return answer.json();
}

test('every list of the API is here', async () => {
  const { paths } = JSON.parse(await readFile('openapi/openapi.json', 'utf8')) as {
    paths: Record<string, { get?: { parameters?: { name: string; in: string }[] } }>;
  };
  const lists = Object.entries(paths)
    .filter(([, path]) =>
      path.get?.parameters?.some((parameter) => parameter.in === 'query' && parameter.name === 'limit'),
    )
    .map(([path]) => path);
  expect(Object.keys(LISTS).sort()).toEqual(lists.sort());
});

describe('a list reads little more than it answers', () => {
  const cases = Object.entries(LISTS).flatMap(([path, queries]) => queries.map((query) => [path, query] as const));

  test.each(cases)('for the operator: %s?%s', async (path, query) => {
    expect(await excesses(() => get(path, query, service.operatorKey))).toEqual([]);
  });

  test.each(cases.filter(([path]) => !OPERATORS.includes(path)))('for a tenant: %s?%s', async (path, query) => {
    expect(await excesses(() => get(path, query, tenantKey))).toEqual([]);
  });

  test.each(CURSORS)('on a further page: %s', async (path) => {
    const { next_cursor } = await get(path, '', service.operatorKey);
    expect(next_cursor).toBeTypeOf('string');
    expect(await excesses(() => get(path, `cursor=${next_cursor}`, service.operatorKey))).toEqual([]);
  });

  test.each([
    ['/v1/adapters', 'sort=name'],
    ['/v1/adapters', 'sort=-name&tenant_id=TENANT'],
    ['/v1/adapters', 'label=tier:gold'],
    ['/v1/jobs', 'rollout_id=ROLLOUT&sort=ttr'],
    ['/v1/jobs', 'rollout_id=ROLLOUT&sort=-finished'],
    ['/v1/jobs', 'sort=ttr'],
    ['/v1/jobs', 'sort=-finished'],
    ['/v1/jobs', 'sort=-finished&tenant_id=TENANT'],
    ['/v1/jobs', 'label=tier:gold'],
  ])('far down: %s?%s', async (path, query) => {
    let cursor = '';
    for (let page = 0; page < 10; page++) {
      const { next_cursor } = await get(path, `${query}&limit=200${cursor}`, service.operatorKey);
      expect(next_cursor).toBeTypeOf('string');
      cursor = `&cursor=${next_cursor}`;
    }
    for (const key of [service.operatorKey, tenantKey]) {
      expect(await excesses(() => get(path, query + cursor, key))).toEqual([]);
    }
  });
});

describe('what is polled reads little', () => {
  test('one rollout, one job', async () => {
    const poll = async (url: string) => {
      const answer = await ask(url);
      expect(answer.statusCode).toBe(200);
    };
    // Uses an address without a cached body.
    expect(await excesses(() => poll(`/v1/rollouts/${large.rollout}?made`), 100)).toEqual([]);
    expect(await excesses(() => poll(`/v1/jobs/${large.job}?made`), 100)).toEqual([]);
  });

  const ENGINE_QUESTION =
    'a question of an engine takes one statement besides that for the key, also if nothing has changed';
  test(ENGINE_QUESTION, async () => {
    const { name } = await service.db.adapter.findUniqueOrThrow({ where: { id: large.adapter } });
    const owner = await service.db.tenant.findUniqueOrThrow({ where: { id: large.tenant } });
    const base = `base_model_version=${large.baseModelVersion}`;
    const named = `/v1/serving/resolve?name=${owner.name}.${name}`;
    for (const url of [
      `/v1/adapters/${large.adapter}/resolve?${base}`,
      `${named}&${base}`,
      `${named}&${base}&serving_name=served`,
    ]) {
      const { headers } = await ask(url);
      for (const etag of ['', headers.etag as string]) {
        const answers: number[] = [];
        const statements = await plans.record(async () => {
          answers.push((await ask(url, { etag })).statusCode);
        });
        expect([url, answers]).toEqual([url, [etag === '' ? 200 : 304]]);
        expect(ofRequest(statements)).toHaveLength(1);
        expect(excessesOf(statements, 20)).toEqual([]);
      }
    }
  });

  test('lists that stay prepared, also by a plan for any values', async () => {
    const generic = recordPlans(service.database.url, ['plan_cache_mode=force_generic_plan']);
    const other = await buildApp(service.config, { ...service.deps, db: generic.db, metrics: new Registry() });
    const lists = ['/v1/events?after=1-1', `/v1/events?subject_id=${large.job}`, '/v1/adapters'];
    const asked = [
      ...lists.flatMap((url) => [tenantKey, service.operatorKey].map((key) => ({ url, key }))),
      ...['/v1/adapters?name=adapter-5', '/v1/jobs', `/v1/jobs?rollout_id=${large.rollout}`].map((url) => {
        return { url, key: service.operatorKey };
      }),
    ];
    for (const { url, key } of asked) {
      const statements = await generic.record(async () => {
        const answer = await other.inject({ url, headers: bearer(key) });
        expect(answer.statusCode, answer.body).toBe(200);
      });
      expect(statements.filter(({ sql }) => sql.includes('LIMIT')).length, url).toBeGreaterThan(0);
      expect(excessesOf(statements).map((excess) => `${url} ${excess}`)).toEqual([]);
    }
    await other.close();
    await generic.close();
  });

  test.each(['/v1/rollouts', '/v1/rollouts/ROLLOUT', '/v1/jobs?rollout_id=ROLLOUT', '/v1/jobs/JOB'])(
    'an unchanged answer takes one statement besides that for the key: %s',
    async (path) => {
      const url = path.replace('ROLLOUT', large.rollout).replace('JOB', large.job);
      const { headers } = await ask(url);
      const answers: number[] = [];
      const statements = await plans.record(async () => {
        answers.push((await ask(url, { etag: headers.etag as string })).statusCode);
      });
      expect(answers).toEqual([304]);
      expect(ofRequest(statements)).toHaveLength(1);
      for (const table of ['api_keys', 'rate_buckets']) {
        expect(statements.filter(({ sql }) => sql.includes(table)).length, table).toBeLessThanOrEqual(1);
      }
    },
  );

  test('a sweep', async () => {
    const enqueued: string[] = [];
    const producer: Pick<QueueProducer, 'enqueue' | 'count'> = {
      enqueue: async (entries) => {
        enqueued.push(...entries.map((entry) => entry.id));
        await service.db.outboxEntry.deleteMany({ where: { jobId: { in: entries.map((entry) => entry.id) } } });
      },
      count: () => Promise.resolve(LARGE),
    };
    const sweeper = createSweeper({
      db: plans.db,
      producer: producer as QueueProducer,
      sources: [rolloutRecoverySource(plans.db), jobRecoverySource(plans.db), outcomesRecoverySource(plans.db)],
      logger: createLogger({ level: 'silent' }),
    });
    expect(await excesses(() => sweeper.sweep())).toEqual([]);
    // Ten from the outbox, ten with an expired lease, and as many measurements as the queue takes.
    expect(enqueued).toHaveLength(40);
    expect(enqueued.filter((id) => id.endsWith('-outcomes'))).toHaveLength(20);
  });

  test('a scrape of the metrics', async () => {
    // It counts pending jobs, of which there are many here, up to a limit.
    expect(await excesses(() => readServiceState(plans.db), 2 * MOST_PENDING)).toEqual([]);
  });

  test('a report reads the jobs of its rollout a few times, and not more as there are more of them', async () => {
    const report = async (key: string) => {
      const answer = await ask(`/v1/rollouts/${large.rollout}/report`, { key });
      expect(answer.statusCode, answer.body).toBe(200);
    };
    expect(await excesses(() => report(service.operatorKey), 3 * LARGE)).toEqual([]);
    expect(await excesses(() => report(tenantKey), 3 * LARGE)).toEqual([]);
  });

  test('whether a measurement may go on', async () => {
    const requests = createOutcomeRequests({ db: plans.db });
    expect(await excesses(() => requests.isRolloutWaiting(), 100)).toEqual([]);
    const left = { bases: ['bmv_unreadable'], jobs: ['job_too_large'] };
    expect(await excesses(() => requests.isRolloutWaiting(left), 100)).toEqual([]);
  });

  test('whether a tenant has device seconds left', async () => {
    await service.db.tenant.update({ where: { id: large.tenant }, data: { quotas: { device_seconds: 1_000_000 } } });
    const rooms = createJobRooms({ db: plans.db, defaults: NO_QUOTAS });
    expect(await excesses(() => rooms.deviceRefusal(large.tenant), 100)).toEqual([]);
    const url = `/v1/tenants/${large.tenant}/quotas`;
    for (const key of [service.operatorKey, tenantKey]) {
      const statements = await plans.record(async () => expect((await ask(url, { key })).statusCode).toBe(200));
      const [device] = statements.filter(({ sql }) => sql.includes('device_uses'));
      expect(device!.read, device!.plan).toBeLessThan(100);
    }
  });

  test('the start of a job', async () => {
    const begin = async () => {
      const job = await adaptationRepository.load(plans.db, large.job);
      await adaptationRepository.oldOutcomes(plans.db, job!);
    };
    expect(await excesses(begin)).toEqual([]);
  });
});

// This test changes the tables, so it comes last.
test('the jobs of a tenant that are all older than those of others are found by their index', async () => {
  const { id } = await service.db.tenant.create({ data: { id: newId('tenant'), name: 'older' } });
  await service.db.$executeRaw`
    UPDATE jobs SET tenant_id = ${id} WHERE id IN (SELECT id FROM jobs ORDER BY id LIMIT ${LARGE / 2})`;
  await service.db.$executeRaw`ANALYZE jobs`;
  const key = await createTestKey(service.db, { tenantId: id });
  for (const sort of ['created', '-finished', 'finished', '-ttr', 'ttr']) {
    expect(await excesses(() => ask(`/v1/jobs?sort=${sort}`, { key }))).toEqual([]);
    expect(await excesses(() => ask(`/v1/jobs?sort=${sort}&tenant_id=${id}`))).toEqual([]);
  }
});
