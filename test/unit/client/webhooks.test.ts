import { Webhook } from 'standardwebhooks';
import { expect, test } from 'vitest';
import { verifyWebhook, WebhookVerificationError } from '../../../openapi/clients/typescript/src/webhooks.ts';

const SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
const OTHER = `whsec_${Buffer.alloc(32, 2).toString('base64')}`;
const BODY = JSON.stringify({
  type: 'job.ready',
  timestamp: '2026-11-27T19:41:12.000Z',
  data: { subject_id: 'job_1' },
});

function headersFor(body: string, secret = SECRET, sent = new Date()) {
  return {
    'Webhook-Id': 'evt_1',
    'Webhook-Timestamp': String(Math.floor(sent.getTime() / 1000)),
    'Webhook-Signature': new Webhook(secret).sign('evt_1', sent, body),
  };
}

test.each([
  ['text and headers of Node', BODY, headersFor(BODY)],
  ['bytes and headers of fetch', new TextEncoder().encode(BODY), new Headers(headersFor(BODY))],
])('takes %s', (_what, body, headers) => {
  expect(verifyWebhook(SECRET, { body, headers })).toMatchObject({ type: 'job.ready', data: { subject_id: 'job_1' } });
});

test('takes either secret while one is replaced', () => {
  const received = { body: BODY, headers: headersFor(BODY, OTHER) };
  expect(verifyWebhook([SECRET, OTHER], received).type).toBe('job.ready');
});

test.each([
  ['another body', { body: BODY.replace('job_1', 'job_2'), headers: headersFor(BODY) }],
  ['another secret', { body: BODY, headers: headersFor(BODY, OTHER) }],
  ['an old one', { body: BODY, headers: headersFor(BODY, SECRET, new Date(Date.now() - 3_600_000)) }],
  ['none', { body: BODY, headers: {} }],
])('refuses %s', (_what, received) => {
  expect(() => verifyWebhook(SECRET, received)).toThrow(WebhookVerificationError);
  expect(() => verifyWebhook([], received)).toThrow(WebhookVerificationError);
});
