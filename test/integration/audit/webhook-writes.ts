import { expect } from 'vitest';
import { newId } from '../../../src/platform/contract/ids.ts';
import type { TestApp } from '../support/index.ts';
import type { Write } from './write.ts';

interface Callers {
  tenant(method: 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object): ReturnType<Write['run']>;
  app(): TestApp;
}

const ENDPOINTS = '/v1/webhook-endpoints';

/** Operations that change webhook endpoints. Their audit entries must not contain a secret. */
export function webhookWrites({ tenant, app }: Callers): Record<string, Write> {
  const create = () => tenant('POST', ENDPOINTS, { url: 'https://hooks.example.com/' });
  const given = async (): Promise<string> => (await create()).json().id;
  const url = 'https://other.example.com/';
  return {
    createWebhookEndpoint: {
      actor: 'tenant',
      run: create,
      entry: { before: null, after: expect.objectContaining({ url: 'https://hooks.example.com/', secret: null }) },
    },
    updateWebhookEndpoint: {
      actor: 'tenant',
      given,
      run: (id) => tenant('PATCH', `${ENDPOINTS}/${id}`, { url }),
      entry: {
        before: expect.objectContaining({ url: 'https://hooks.example.com/' }),
        after: expect.objectContaining({ url }),
      },
    },
    deleteWebhookEndpoint: {
      actor: 'tenant',
      given,
      run: (id) => tenant('DELETE', `${ENDPOINTS}/${id}`),
      entry: { before: expect.objectContaining({ url: 'https://hooks.example.com/' }), after: null },
    },
    rotateWebhookSecret: {
      actor: 'tenant',
      given,
      run: (id) => tenant('POST', `${ENDPOINTS}/${id}/rotate-secret`, {}),
      entry: { after: expect.objectContaining({ secret: null }) },
    },
    testWebhookEndpoint: {
      actor: 'tenant',
      given,
      run: (id) => tenant('POST', `${ENDPOINTS}/${id}/test`),
      entry: { before: null, after: expect.objectContaining({ state: 'pending' }) },
    },
    replayWebhookEvents: {
      actor: 'tenant',
      given,
      run: (id) => tenant('POST', `${ENDPOINTS}/${id}/replay`, { after: '0' }),
      entry: { after: expect.objectContaining({ position: '0-0' }) },
    },
    replayWebhookDelivery: {
      actor: 'tenant',
      async given() {
        const { id: endpointId, tenant_id: tenantId } = (await create()).json() as { id: string; tenant_id: string };
        const id = newId('webhookDelivery');
        const sent = { eventId: newId('event'), eventType: 'job.ready', state: 'failed', attempts: 10 };
        await app().db.webhookDelivery.create({ data: { id, endpointId, tenantId, ...sent } });
        return `${endpointId}/deliveries/${id}`;
      },
      run: (path) => tenant('POST', `${ENDPOINTS}/${path}/replay`),
      entry: {
        before: expect.objectContaining({ state: 'failed', attempts: 10 }),
        after: expect.objectContaining({ state: 'pending', attempts: 0 }),
      },
    },
  };
}
