import Fastify, { type FastifyInstance } from 'fastify';
import { beforeEach, expect, test } from 'vitest';
import { tenantScope } from '../../../src/api/plugins/auth.ts';
import etag, { unlessUnchanged } from '../../../src/api/plugins/etag.ts';

let app: FastifyInstance;
/** Version of the answer, equal for all callers, and number of bodies made. */
let version: string | null;
let made: number;

beforeEach(async () => {
  [version, made] = ['1', 0];
  app = Fastify();
  app.decorateRequest('principal');
  app.addHook('onRequest', async (request) => {
    const tenantId = String(request.headers.tenant);
    request.principal = { kind: 'tenant', keyId: 'key', tenantId, scopes: [] };
  });
  await app.register(etag);
  app.get('/answer', (request, reply) =>
    unlessUnchanged(request, reply, {
      version: () => Promise.resolve(version),
      body: () => Promise.resolve({ of: tenantScope(request), made: ++made }),
    }),
  );
  return () => app.close();
});

const ask = async (tenant: string, url = '/answer') => (await app.inject({ url, headers: { tenant } })).json<object>();

const BODY_KEPT =
  'a body that was made is sent again to the same caller at the same address, until the version is another';
test(BODY_KEPT, async () => {
  expect(await ask('acme')).toEqual({ of: 'acme', made: 1 });
  expect(await ask('acme')).toEqual({ of: 'acme', made: 1 });
  expect(await ask('acme', '/answer?other')).toEqual({ of: 'acme', made: 2 });
  version = '2';
  expect(await ask('acme')).toEqual({ of: 'acme', made: 3 });
  version = '1';
  expect(await ask('acme')).toEqual({ of: 'acme', made: 4 });
});

test('another tenant is never sent it, though the version is the same', async () => {
  expect(await ask('acme')).toEqual({ of: 'acme', made: 1 });
  expect(await ask('other')).toEqual({ of: 'other', made: 2 });
  expect(await ask('acme')).toEqual({ of: 'acme', made: 1 });
});

test('an answer without a version is made each time', async () => {
  version = null;
  expect(await ask('acme')).toEqual({ of: 'acme', made: 1 });
  expect(await ask('acme')).toEqual({ of: 'acme', made: 2 });
});
