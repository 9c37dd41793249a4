import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { getTenantQuotas, type ReadaptClient } from '../../openapi/clients/typescript/src/index.ts';
import { expectProblem, MAX_CROWD_HEALTH_MS, underAttack } from './support/attack.ts';
import { HASTY, honestTenant, honestWork, NDJSON, ROWS, standStill } from './support/crowd.ts';
import type { RawAnswer } from './support/raw-exchange.ts';
import { startAttackedService, type AttackedService } from './support/service.ts';

let service: AttackedService;
let honest: ReadaptClient;
beforeAll(async () => {
  service = await startAttackedService(HASTY);
  honest = await honestTenant(service);
});
afterAll(() => service?.stop());

const upload = (index: number) =>
  [
    `POST /v1/datasets?name=stalled-${index} HTTP/1.1`,
    'host: a',
    `authorization: Bearer ${service.tenantKey}`,
    `content-type: ${NDJSON}`,
    'content-length: 100000',
    '',
    ROWS,
  ].join('\r\n');

describe('300 clients that stand still keep nobody from working, and are cut off:', () => {
  test.each<[string, (index: number) => string]>([
    ['in the middle of an upload', upload],
    ['in the middle of a head', (index) => upload(index).slice(0, 40)],
    ['before they have said anything', () => ''],
  ])('%s', async (place, sent) => {
    const open = await standStill(service, honest, { name: `300 who stand still ${place}`, connections: 300, sent });
    expect(open, 'connections that were open when the honest work was done').toBe(300);
    const { quotas } = await getTenantQuotas({ client: service.tenant, path: { id: service.tenantId } });
    // Counts only the rows of the dataset uploaded at the start.
    expect(quotas.find(({ name }) => name === 'dataset_rows')?.used).toBe(3);
  });
});

async function send(path: string, request: RequestInit): Promise<RawAnswer> {
  const response = await fetch(`${service.origin}${path}`, request);
  const body = (await response.json()) as Record<string, unknown>;
  return { status: response.status, contentType: response.headers.get('content-type')!, body };
}

const statusesOf = (answers: readonly RawAnswer[]) => [...new Set(answers.map(({ status }) => status))].sort();

/** Runs a request many times at once beside an honest tenant's work, and expects only problems as answers. */
async function crowd(name: string, count: number, one: (index: number) => Promise<RawAnswer>): Promise<RawAnswer[]> {
  const answers = await underAttack(
    service,
    name,
    async () => {
      const all = Promise.all(Array.from({ length: count }, (_, index) => one(index)));
      await honestWork(honest, name.replaceAll(/\W+/g, '-'));
      return all;
    },
    { summary: (found) => [statusesOf(found).join(', ')], maxHealthMs: MAX_CROWD_HEALTH_MS },
  );
  answers.forEach(expectProblem);
  return answers;
}

test('1,000 unknown keys at once are refused, and known ones are not', async () => {
  const answers = await crowd('1,000 unknown keys', 1_000, (index) => {
    const key = `rdp_${index.toString(16).padStart(12, '0')}_${'x'.repeat(43)}`;
    return send('/v1/jobs', { headers: { authorization: `Bearer ${key}` } });
  });
  expect(answers.filter(({ status }) => status !== 401 && status !== 429)).toEqual([]);
  expect(answers.filter(({ status }) => status === 429).length).toBeGreaterThanOrEqual(700);
});

test('300 keys of idempotency for requests that fail are all free again', async () => {
  const create = (index: number, body: string) => {
    const headers = { authorization: `Bearer ${service.tenantKey}`, 'content-type': NDJSON };
    const key = { 'idempotency-key': `many-${index}` };
    return send(`/v1/datasets?name=many-${index}`, { method: 'POST', headers: { ...headers, ...key }, body });
  };
  const answers = await crowd('300 keys of idempotency', 300, (index) => create(index, '{}\n'));
  expect(statusesOf(answers)).toEqual([422]);
  // An idempotency key still tied to the first body would be answered with 409 or 422.
  expect(await create(0, ROWS)).toMatchObject({ status: 201 });
});
