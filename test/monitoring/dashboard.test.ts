import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  createBaseModelVersion,
  createWebhookEndpoint,
  getRollout,
} from '../../openapi/clients/typescript/src/index.ts';
import { FAMILY, familyPath, FLEET } from '../../cli/demo/fleet.ts';
import { registerFleet } from '../../cli/demo/register-fleet.ts';
import { compiledCommand } from '../compiled/index.ts';
import { eventually } from '../eventually.ts';
import { createReceiver, type Receiver } from '../integration/webhooks/receiver.ts';
import { freePort } from '../integration/support/redis.ts';
import { PATIENCE_MS } from '../patience.ts';
import { Processes } from '../upgrade/processes.ts';
import { alertRules, dashboardQueries, metricNames, RULES } from './monitoring.ts';
import { startPrometheus, type Prometheus } from './prometheus.ts';

// Real service and worker, scraped by Debian's Prometheus while they carry two adapters over and send events to a
// webhook.
const processes = new Processes();
let folder: string;
let prometheus: Prometheus;
let receiver: Receiver;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'readapt-monitoring-'));
  // The embedded PostgreSQL runs as a different user.
  await chmod(folder, 0o755);
  const worker = await freePort();
  receiver = await createReceiver();
  const api = processes.start(compiledCommand(), ['serve'], {
    ...process.env,
    DATABASE_URL: '',
    REDIS_URL: '',
    READAPT_DATA_DIR: path.join(folder, 'data'),
    READAPT_ALLOWED_ROOTS: FAMILY,
    READAPT_PORT: '0',
    READAPT_WORKER_METRICS_PORT: String(worker),
    READAPT_THREADS: '1',
    READAPT_WEBHOOK_ALLOWED_RANGES: '127.0.0.1/32',
  });
  const [, origin = ''] = await api.printed(/readapt serves (\S+)/);
  prometheus = await startPrometheus({
    folder,
    targets: { 'readapt-api': new URL(origin).host, 'readapt-worker': `127.0.0.1:${worker}` },
    rules: RULES,
  });
  const operatorKey = (await readFile(path.join(folder, 'data/operator-key'), 'utf8')).trim();
  // The second adapter needs training.
  const fleet = FLEET.filter(({ adapter }) => ['catalogue-plurals', 'past-tense-chat'].includes(adapter));
  const { operator, baseModelId } = await registerFleet({ origin, operatorKey, fleet, log: () => undefined });
  const client = operator;
  await createWebhookEndpoint({ client, body: { url: receiver.url, event_types: ['job.ready'] } });
  // The controls still run while Prometheus is queried, so that there is a rollout to see.
  const body = { version: '2', path: familyPath('v2'), rollout: { control: 'all' } } as const;
  const { rollout } = await createBaseModelVersion({ client, path: { model: baseModelId }, body });
  await eventually(
    'both adapters are ready',
    async () => (await getRollout({ client, path: { id: rollout!.id } })).summary.ready === 2,
  ).catch((error: unknown) => {
    throw new Error(processes.tails(), { cause: error });
  });
  await eventually('Prometheus has seen the ends of both jobs', async () => {
    const [ended] = await prometheus.query('sum(readapt_jobs_ended_total{kind="adaptation",state="ready"})');
    return ended?.value === 2;
  });
  await eventually('Prometheus has seen that both events were delivered', async () => {
    const [delivered] = await prometheus.query('readapt_webhook_attempt_duration_seconds_count{outcome="delivered"}');
    return (delivered?.value ?? 0) >= 2;
  });
  // Workers report themselves every five seconds.
  const hasReported = async () => (await prometheus.query('readapt_worker_tokens_per_second')).length > 0;
  await eventually('Prometheus has seen how fast the worker has trained', hasReported);
});
afterAll(async () => {
  await prometheus?.stop();
  await processes.killAll();
  await receiver?.close();
  // PostgreSQL may still be ending.
  await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
});

/** Delay of the first housekeeping after the start, in milliseconds. */
const HOUSEKEEPING_DELAY_MS = 60_000;
const HOUSEKEEPING = 'Housekeeping';
const LATER = ['readapt_housekeeping_last_success_timestamp_seconds'];

test('every metric that the dashboard and the rules name is scraped', async () => {
  const names = new Set([...(await prometheus.names()), ...LATER]);
  const queries = [
    ...(await dashboardQueries()).map(({ query }) => query),
    ...(await alertRules()).map(({ expr }) => expr),
  ];
  const unknown = queries.flatMap(metricNames).filter((name) => !names.has(name));
  expect(unknown).toEqual([]);
});

/** Whether a query has ever returned something, even if it has ended. */
const hasShown = async (query: string) => (await prometheus.query(`last_over_time((${query})[10m:1s])`)).length > 0;

test('every query of the dashboard is one, and shows something where there is something', async () => {
  for (const { panel, query } of await dashboardQueries()) {
    // Nothing fails here.
    if (panel === 'Failed attempts') expect(await hasShown(query), panel).toBe(false);
    else if (panel === HOUSEKEEPING) await hasShown(query);
    else await eventually(`${panel} shows something: ${query}`, () => hasShown(query));
  }
});

// Retries, because a service that takes over a second to answer Prometheus shows nothing until the next scrape.
test('the dashboard shows what has happened', async () => {
  const queries = new Map((await dashboardQueries()).map(({ panel, query }) => [panel, query]));
  const seriesOf = (panel: string) => prometheus.query(queries.get(panel)!);
  await expect.poll(() => seriesOf('Workers ready')).toMatchObject([{ value: 1 }]);
  await expect.poll(() => seriesOf('Checks of /readyz')).toMatchObject([{ value: 1 }]);
  const isInUse = async () => (await seriesOf('Use of the devices')).some(({ value }) => value > 0);
  await expect.poll(isInUse).toBe(true);
  await expect.poll(async () => (await seriesOf('Speed of training'))[0]?.value ?? 0).toBeGreaterThan(0);
  const deliveries = async () => (await seriesOf('Deliveries by outcome')).filter(({ value }) => value > 0);
  await expect.poll(deliveries).toMatchObject([{ labels: { outcome: 'delivered' } }]);
  const endpoints = async () =>
    (await seriesOf('Webhook endpoints')).map(({ labels, value }) => [labels.state, value]).sort();
  await expect.poll(endpoints).toEqual([
    ['disabled', 0],
    ['enabled', 1],
  ]);
  expect(receiver.received.length).toBeGreaterThanOrEqual(2);
});

test('every rule is evaluated, and none fires for a service that works', async () => {
  // A query that waits while a sample is taken makes its rule pending until the next sample. No rule stays pending when
  // nothing is wrong.
  const rules = await eventually('every rule is evaluated, and none is pending', async () => {
    const all = await prometheus.rules();
    expect(all.filter(({ state, health }) => state === 'firing' || health === 'err')).toEqual([]);
    return all.every(({ health, state }) => health === 'ok' && state === 'inactive') && all;
  });
  expect(rules.map(({ name }) => name).sort()).toEqual((await alertRules()).map(({ alert }) => alert).sort());
});

test('the dashboard shows the housekeeping once it has begun', async () => {
  const { query } = (await dashboardQueries()).find(({ panel }) => panel === HOUSEKEEPING)!;
  await eventually('the housekeeping is shown', () => hasShown(query), HOUSEKEEPING_DELAY_MS + PATIENCE_MS);
});
