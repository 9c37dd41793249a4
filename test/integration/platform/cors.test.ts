import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestApp, type TestApp } from '../support/index.ts';

const ORIGIN = 'https://fleet.example.com';
const OTHER = 'https://evil.example.com';

const preflight = (origin: string) => ({
  method: 'OPTIONS' as const,
  url: '/v1/rollouts',
  key: null,
  headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
});

function corsHeaders(headers: Record<string, unknown>): string[] {
  return Object.keys(headers).filter((name) => name.startsWith('access-control-'));
}

describe('without the setting', () => {
  let service: TestApp;
  beforeAll(async () => {
    service = await createTestApp();
  });
  afterAll(() => service.close());

  test('no answer lets another origin read it', async () => {
    const answer = await service.request({ url: '/v1/rollouts', headers: { origin: ORIGIN } });
    expect([answer.statusCode, corsHeaders(answer.headers)]).toEqual([200, []]);
    const asked = await service.request(preflight(ORIGIN));
    expect([asked.statusCode, corsHeaders(asked.headers)]).toEqual([405, []]);
  });
});

describe('READAPT_CORS_ORIGINS', () => {
  let service: TestApp;
  beforeAll(async () => {
    service = await createTestApp({ env: { READAPT_CORS_ORIGINS: `${ORIGIN},http://localhost:5173` } });
  });
  afterAll(() => service.close());

  test('answers the preflight of an origin that it names without a key', async () => {
    const { statusCode, headers } = await service.request(preflight(ORIGIN));
    expect(statusCode).toBe(204);
    expect(headers).toMatchObject({
      'access-control-allow-origin': ORIGIN,
      'access-control-max-age': '600',
      vary: expect.stringContaining('Origin'),
    });
    expect(headers['access-control-allow-methods']).toContain('PATCH');
    expect(headers['access-control-allow-headers']).toMatch(/Authorization.*Idempotency-Key.*If-None-Match/);
    expect(headers['access-control-allow-credentials']).toBeUndefined();
  });

  test('lets it read answers, refusals and their headers', async () => {
    for (const [options, status] of [
      [{ url: '/v1/rollouts' }, 200],
      [{ url: '/v1/rollouts', key: null }, 401],
      [{ url: '/v1/nothing' }, 404],
    ] as const) {
      const answer = await service.request({ ...options, headers: { origin: ORIGIN } });
      expect([answer.statusCode, answer.headers['access-control-allow-origin']]).toEqual([status, ORIGIN]);
      const exposed = String(answer.headers['access-control-expose-headers']);
      for (const name of ['ETag', 'Location', 'Retry-After', 'Idempotency-Replayed', 'RateLimit-Remaining'])
        expect(exposed).toContain(name);
    }
  });

  test('lets no other origin read anything', async () => {
    const answer = await service.request({ url: '/v1/rollouts', headers: { origin: OTHER } });
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
    expect(answer.headers.vary).toContain('Origin');
    expect((await service.request(preflight(OTHER))).headers['access-control-allow-origin']).toBeUndefined();
  });

  test('leaves unknown paths and methods what they are', async () => {
    const unknown = await service.request({ url: '/v1/nothing', key: null });
    expect([unknown.statusCode, unknown.json()]).toMatchObject([404, { code: 'route_not_found' }]);
    const refused = await service.request({ method: 'DELETE', url: '/healthz', key: null });
    expect([refused.statusCode, refused.headers.allow]).toEqual([405, 'GET, HEAD']);
  });
});

test('* lets every origin read answers', async () => {
  const service = await createTestApp({ env: { READAPT_CORS_ORIGINS: '*' } });
  try {
    const answer = await service.request({ url: '/healthz', key: null, headers: { origin: OTHER } });
    expect(answer.headers['access-control-allow-origin']).toBe('*');
  } finally {
    await service.close();
  }
});
