import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHub, type HubServer } from '../unit/base-sources/support/hub-server.ts';
import { startAttackedService, type AttackedService } from '../attack/support/service.ts';

/** Schemathesis command, which CI installs from PyPI. */
const SCHEMATHESIS = process.env.READAPT_SCHEMATHESIS ?? 'schemathesis';
const DOCUMENT = path.resolve('openapi/openapi.json');

const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
];

/**
 * Excludes streams, which do not end, and operations that delete a key or tenant: they would find the caller's own in a
 * list, and everything after would be 401.
 */
const MOST = ['--exclude-operation-id-regex', '^(stream.*|rotateApiKey|revokeApiKey|deleteTenant)$'];
/** Operations that delete a key or tenant, with only the operations that create one, so that they find no others. */
const ENDINGS = [
  '--include-operation-id-regex',
  '^(createApiKey|rotateApiKey|revokeApiKey|createTenant|deleteTenant)$',
];

let service: AttackedService;
let hub: HubServer;
beforeAll(async () => {
  // An unreachable source would be a 503, and no request may leave this machine.
  hub = await startHub();
  service = await startAttackedService({
    READAPT_RATE_LIMIT_PER_MINUTE: '1000000000',
    // Without the secret, a policy with an approval address is refused with 503 as not configured.
    READAPT_APPROVAL_SECRET: `whsec_${Buffer.alloc(32, 7).toString('base64')}`,
    READAPT_HUB_URL: hub.url,
    READAPT_S3_ENDPOINT: hub.url,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
  });
});
afterAll(async () => {
  await service.stop();
  await hub.close();
});

/** Sends requests generated from the OpenAPI document in a fixed order, and validates the answers against it. */
async function conformance(key: string, operations: readonly string[], seconds: number) {
  const options = {
    url: service.origin,
    checks: CHECKS.join(','),
    seed: '1',
    'max-examples': '2',
    'max-time': seconds,
  };
  const child = spawn(SCHEMATHESIS, [
    ...['run', DOCUMENT, '--header', `Authorization: Bearer ${key}`, ...operations],
    ...Object.entries(options).map(([name, value]) => `--${name}=${value}`),
    ...['--no-shrink', '--continue-on-failure', '--warnings=off', '--phases=examples,coverage,fuzzing,stateful'],
  ]);
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output: Buffer.concat(chunks).toString() };
}

test.each([
  ['an operator', () => service.operatorKey, '/v1/tenants'],
  ['a tenant', () => service.tenantKey, '/v1/adapters'],
])(
  'answers to the requests of %s are as the document says, and none is a failure of the service',
  async (_whose, key, url) => {
    const most = await conformance(key(), MOST, 30);
    expect(most.code, most.output).toBe(0);
    expect(most.output).toMatch(/Selected: \d{2,}\/\d{2,}/);
    const endings = await conformance(key(), ENDINGS, 10);
    expect(endings.code, endings.output).toBe(0);
    expect(endings.output).toMatch(/Selected: 5\/\d{2,}/);
    const answer = await fetch(`${service.origin}${url}`, { headers: { authorization: `Bearer ${key()}` } });
    expect(answer.status, 'the key can still be used').toBe(200);
  },
);
