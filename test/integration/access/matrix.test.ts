import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OPERATOR_SCOPES, TENANT_SCOPES } from '../../../src/platform/contract/principal.ts';
import { createTestKey } from '../support/index.ts';
import { EXAMPLES, type ExampleRequest } from './examples.ts';
import { readOperations } from './operations.ts';
import { admits, exampleOf, INCLUDES, send } from './requests.ts';
import { createAccessWorld, type AccessWorld } from './world.ts';

/** Operations of the gateways' scope, as in docs/security.md, and those that need no key. */
const FOR_GATEWAYS = [
  ...[
    'downloadAdapterVersion',
    'downloadAdapterVersionFile',
    'getAdapter',
    'getAdapterVersion',
    'getBaseModelVersion',
    'getCurrentVersion',
    'listAdapterVersionFiles',
    'listAdapters',
  ],
  ...['listBaseModelVersions', 'listCurrentVersions', 'resolveAdapter', 'resolveName', 'whoami'],
];
const WITHOUT_KEY = ['getHealth', 'getReadiness'];

const operations = readOperations();
const guarded = operations.filter((operation) => operation.scopes !== null);

let world: AccessWorld;
/** API key per scope; tenants' keys belong to acme. */
const keys: Record<string, string> = {};
/** Keys that do not work, by the reason; null is none. */
let refused: Record<string, string | null>;
/** Key of a gateway that serves all tenants. */
let gatewayKey: string;

beforeAll(async () => {
  world = await createAccessWorld();
  for (const scope of Object.keys(INCLUDES)) keys[scope] = await keyOf(scope);
  gatewayKey = await createTestKey(world.service.db, { tenantId: null, scopes: ['serving:read'] });
  const past = new Date(Date.now() - 1000);
  refused = {
    none: null,
    unknown: `rdp_${'0'.repeat(12)}_${'A'.repeat(43)}`,
    'revoked operator': await keyOf('operator', { revokedAt: past }),
    'expired operator': await keyOf('operator', { expiresAt: past }),
    'revoked tenant': await keyOf('tenant:admin', { revokedAt: past }),
    'expired tenant': await keyOf('tenant:admin', { expiresAt: past }),
  };
});
afterAll(() => world.close());

function keyOf(scope: string, options: { revokedAt?: Date; expiresAt?: Date } = {}): Promise<string> {
  const tenantId = scope.startsWith('operator') ? null : world.acme.id;
  return createTestKey(world.service.db, { tenantId, scopes: [scope], ...options });
}

describe('the matrix is complete', () => {
  test('every operation has an example, and no example is left over', () => {
    const found = operations.map(({ id }) => id).sort();
    expect(found, 'see test/integration/access/examples.ts').toEqual(Object.keys(EXAMPLES).sort());
  });

  test('the file describes the service that runs', async () => {
    const answer = await world.service.request({ url: '/openapi.json', key: null });
    expect(readOperations(answer.json())).toEqual(operations);
  });

  test('every scope is in the matrix', () => {
    expect(Object.keys(INCLUDES).sort()).toEqual([...OPERATOR_SCOPES, ...TENANT_SCOPES].sort());
  });

  test('what needs no key, and what serving:read admits to, is this and nothing else', () => {
    const forGateways = guarded.filter((operation) => admits(operation, 'serving:read'));
    expect(operations.filter(({ scopes }) => scopes === null).map(({ id }) => id)).toEqual(WITHOUT_KEY);
    expect(forGateways.map(({ id }) => id).sort()).toEqual(FOR_GATEWAYS);
  });

  test('operator:read admits to every GET and to nothing else', () => {
    for (const operation of guarded) {
      expect(admits(operation, 'operator:read'), operation.id).toBe(operation.method === 'GET');
    }
  });
});

describe.each(guarded)('$id', (operation) => {
  /** Requests of a tenant and of an operator for keys that are refused, which change nothing of what they name. */
  let refusable: Record<'tenant' | 'operator', ExampleRequest>;
  beforeAll(async () => {
    refusable = {
      tenant: await exampleOf(world, operation),
      operator: await exampleOf(world, operation, { scope: 'operator' }),
    };
  });

  test('answers 401 without a key that works', async () => {
    for (const [what, key] of Object.entries(refused)) {
      const answer = await send(world, operation, refusable.tenant, key);
      expect([answer.statusCode, answer.json().code], what).toEqual([401, 'unauthorized']);
    }
  });

  test.each(Object.keys(INCLUDES))('with the scope %s', async (scope) => {
    const isAdmitted = admits(operation, scope);
    const example = isAdmitted
      ? await exampleOf(world, operation, { scope })
      : refusable[scope.startsWith('operator') ? 'operator' : 'tenant'];
    const answer = await send(world, operation, example, keys[scope]!);
    if (isAdmitted) {
      expect(Math.floor(answer.statusCode / 100), answer.body).toBe(2);
    } else {
      expect([answer.statusCode, answer.json().code]).toEqual([403, 'forbidden']);
    }
  });

  test('with serving:read of all tenants', async () => {
    const isAdmitted = FOR_GATEWAYS.includes(operation.id);
    const example = isAdmitted
      ? await exampleOf(world, operation, { scope: 'operator', owner: world.other })
      : refusable.operator;
    const answer = await send(world, operation, example, gatewayKey);
    const expected = isAdmitted ? 200 : 403;
    expect(answer.statusCode, answer.body).toBe(expected);
  });
});
