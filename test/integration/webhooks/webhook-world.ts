import { Registry } from 'prom-client';
import type { ClaimLoop } from '../../../src/lib/claim-loop.ts';
import { createAddressPolicy } from '../../../src/platform/outgoing/address-policy.ts';
import { createPost, type Post } from '../../../src/platform/outgoing/post.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { createSecretBox } from '../../../src/platform/config/secret-box.ts';
import { recordEvents, type NewEvent } from '../../../src/delivery/events/index.ts';
import { createDeliverer, createDeliveryMetrics, type RetrySchedule } from '../../../src/delivery/webhooks/index.ts';
import type {
  CreatedWebhookEndpoint,
  WebhookDelivery,
  WebhookEndpoint,
} from '../../../src/delivery/webhooks/webhook.schemas.ts';
import { createTestApp, createTestTenant, untilReadable, type TestApp, type TestTenant } from '../support/index.ts';
import { createReceiver, type Receiver } from './receiver.ts';

const JOB = { rollout_id: newId('rollout'), adapter_id: newId('adapter'), kind: 'adaptation' };
/** Data of the events that tests record, by type. */
const DATA: Readonly<Record<string, object>> = {
  'job.ready': JOB,
  'job.failed': JOB,
  'adapter.created': { name: 'adapter', base_model_id: newId('baseModel'), dataset_id: null },
  'rollout.completed': { from: 'adapting' },
  'rollout.paused': { from: 'adapting', reason: { code: 'requested', message: 'paused by the operator' } },
};

/** Retry schedule with immediate attempts and no rest for failing endpoints. */
export const AT_ONCE: RetrySchedule = { delaysMs: [1, 1, 1], restMs: () => 0 };

export interface DelivererOptions {
  schedule?: RetrySchedule;
  leaseMs?: number;
  graceMs?: number;
  secretKeys?: readonly string[];
  /** Function that posts to endpoints (default: the service's own). */
  post?: Post;
}

export interface WebhookWorld {
  app: TestApp;
  acme: TestTenant;
  other: TestTenant;
  metrics: Registry;
  receiver(): Promise<Receiver>;
  deliverer(options?: DelivererOptions): ClaimLoop;
  /** Creates an endpoint of a tenant or the operator. */
  endpoint(
    url: string,
    options?: { key?: string; event_types?: string[]; tenant_id?: string },
  ): Promise<CreatedWebhookEndpoint>;
  /** Records events in one transaction and waits until they are readable. @returns their identifiers */
  record(tenantId: string | null, types: readonly string[]): Promise<string[]>;
  get(id: string): Promise<WebhookEndpoint>;
  log(id: string, query?: string): Promise<WebhookDelivery[]>;
  send(
    method: 'POST' | 'PATCH' | 'DELETE',
    url: string,
    payload?: object,
    key?: string,
  ): Promise<{ status: number; body: Record<string, unknown> }>;
  /** Stops deliverers and receivers. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

/** Service with two tenants, whose webhooks may go to this machine. */
export async function createWebhookWorld(env: Record<string, string> = {}): Promise<WebhookWorld> {
  const app = await createTestApp({ env: { READAPT_WEBHOOK_ALLOWED_RANGES: '127.0.0.1/32', ...env } });
  const [acme, other] = [await createTestTenant(app.db, 'acme'), await createTestTenant(app.db, 'other')];
  const metrics = new Registry();
  const counted = createDeliveryMetrics(metrics);
  const opened: (() => Promise<void>)[] = [];
  const send: WebhookWorld['send'] = async (method, url, payload, key = acme.key) => {
    const answer = await app.request({ method, url, key, ...(payload === undefined ? {} : { payload }) });
    return { status: answer.statusCode, body: answer.body === '' ? {} : answer.json() };
  };
  const ask = async <T>(url: string): Promise<T> => (await app.request({ url })).json<T>();
  const reset = async (): Promise<void> => {
    for (const close of opened.splice(0).reverse()) await close();
    await app.db.webhookEndpoint.deleteMany();
  };
  return {
    app,
    acme,
    other,
    metrics,
    async receiver() {
      const receiver = await createReceiver();
      opened.push(() => receiver.close());
      return receiver;
    },
    deliverer({ schedule = AT_ONCE, leaseMs, graceMs, secretKeys = app.config.secretKeys, post } = {}) {
      const deliverer = createDeliverer({
        db: app.db,
        box: createSecretBox(secretKeys)!,
        post: post ?? createPost({ policy: createAddressPolicy(app.config.webhookAllowedRanges) }),
        schedule,
        logger: app.deps.logger,
        metrics: counted,
        intervalMs: 20,
        ...(leaseMs === undefined ? {} : { leaseMs }),
        ...(graceMs === undefined ? {} : { graceMs }),
      });
      opened.push(() => deliverer.stop());
      deliverer.start();
      return deliverer;
    },
    async endpoint(url, { key = acme.key, ...rest } = {}) {
      const { status, body } = await send('POST', '/v1/webhook-endpoints', { url, ...rest }, key);
      if (status !== 201) throw new Error(JSON.stringify(body));
      return body as unknown as CreatedWebhookEndpoint;
    },
    async record(tenantId, types) {
      const events = types.map((type) => {
        const event = { id: newId('event'), tenantId, type, subjectId: tenantId ?? 'x', data: DATA[type] };
        return event as NewEvent & { id: string };
      });
      await recordEvents(app.db, events);
      await untilReadable(app.db);
      return events.map(({ id }) => id);
    },
    get: (id) => ask(`/v1/webhook-endpoints/${id}`),
    log: async (id, query = '') =>
      (await ask<{ data: WebhookDelivery[] }>(`/v1/webhook-endpoints/${id}/deliveries${query}`)).data,
    send,
    reset,
    close: async () => {
      await reset();
      await app.close();
    },
  };
}
