import { afterAll, beforeAll, expect, test } from 'vitest';
import { planFleet } from '../events/support.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestApp, createTestKey, type TestApp } from '../support/index.ts';

/**
 * Value unknown to this version. A later version that runs beside this one, or ran before a downgrade, may have written
 * it.
 */
const LATER = 'later';

let app: TestApp;
let fleet: Fleet;
let rolloutId: string;
let jobId: string;
let key: string;

beforeAll(async () => {
  app = await createTestApp();
  fleet = await createFleet(app.db, { tenants: 1, adapters: 2 });
  key = await createTestKey(app.db, { tenantId: fleet.tenants[0]! });
  const planned = await planFleet(app.db, fleet);
  rolloutId = planned.rolloutId;
  jobId = planned.jobIds[0]!;
});
afterAll(() => app.close());

async function shown(url: string, as: string): Promise<unknown> {
  const answer = await app.request({ url, key: as });
  expect(answer.statusCode, `${url}: ${answer.body}`).toBe(200);
  return answer.json();
}

test('values that a later version has stored in a row are answered as they are', async () => {
  const { db } = app;
  // A later migration allows such values.
  const checks = await db.$queryRaw<{ table: string; name: string }[]>`
    SELECT conrelid::regclass::text AS table, conname AS name FROM pg_constraint
    WHERE contype = 'c' AND conrelid IN ('adapters'::regclass, 'adapter_versions'::regclass, 'jobs'::regclass)`;
  for (const { table, name } of checks) await db.$executeRawUnsafe(`ALTER TABLE ${table} DROP CONSTRAINT ${name}`);
  const { adapterId } = await db.job.findUniqueOrThrow({ where: { id: jobId } });
  const source = await db.adapterVersion.findFirstOrThrow({ where: { adapterId } });
  await db.$executeRaw`
    UPDATE jobs SET strategy = ${LATER}, won_strategy = ${LATER}, metric_name = ${LATER},
      error = '{"code": "later", "message": "m"}',
      own_options = '{"strategy": "later", "bound": 1}'
    WHERE id = ${jobId}`;
  const gate = JSON.stringify({ kind: LATER, bound: 0.5 });
  await db.$executeRaw`UPDATE adapters SET metric = ${LATER}, approval = ${LATER}, gate = ${gate}::jsonb
    WHERE id = ${adapterId}`;
  await db.$executeRaw`UPDATE adapter_versions SET origin = ${LATER}, strategy = ${LATER} WHERE id = ${source.id}`;
  await db.$executeRaw`
    UPDATE rollouts SET options = jsonb_set(options, '{strategy}', '"later"'), state = 'paused', paused_at = now(),
      paused_reason = '{"code": "later", "message": "m"}' WHERE id = ${rolloutId}`;
  const job = { strategy: LATER, won_strategy: LATER, metric: { name: LATER }, error: { code: LATER } };
  const adapter = { metric: LATER, approval: LATER, gate: { kind: LATER, bound: 0.5 } };
  const rollout = { options: { strategy: LATER }, paused_reason: { code: LATER } };
  for (const as of [key, app.operatorKey]) {
    expect(await shown(`/v1/jobs/${jobId}`, as)).toMatchObject(job);
    expect(await shown(`/v1/jobs?rollout_id=${rolloutId}`, as)).toMatchObject({
      data: expect.arrayContaining([expect.objectContaining({ id: jobId, strategy: LATER })]),
    });
    expect(await shown(`/v1/adapters/${adapterId}`, as)).toMatchObject(adapter);
    expect(await shown('/v1/adapters', as)).toMatchObject({
      data: expect.arrayContaining([expect.objectContaining({ id: adapterId, ...adapter })]),
    });
    expect(await shown(`/v1/adapters/${adapterId}/versions/${source.id}`, as)).toMatchObject({
      origin: LATER,
      strategy: LATER,
    });
    expect(await shown(`/v1/rollouts/${rolloutId}`, as)).toMatchObject(rollout);
    expect(await shown('/v1/rollouts', as)).toMatchObject({ data: [rollout] });
    expect(await shown(`/v1/jobs/${jobId}/ladder`, as)).toBeTypeOf('object');
    expect(await shown(`/v1/rollouts/${rolloutId}/report`, as)).toBeTypeOf('object');
  }
  expect(await shown(`/v1/base-models/${fleet.baseModelId}/fleet`, app.operatorKey)).toBeTypeOf('object');
  expect(await shown('/v1/attention', app.operatorKey)).toBeTypeOf('object');
});

test('states that a later migration has added are answered, too', async () => {
  const { db } = app;
  await db.$executeRawUnsafe(`ALTER TYPE job_state ADD VALUE '${LATER}'`);
  await db.$executeRawUnsafe(`ALTER TYPE rollout_state ADD VALUE '${LATER}'`);
  await db.$executeRawUnsafe(`UPDATE jobs SET state = '${LATER}' WHERE id = '${jobId}'`);
  await db.$executeRawUnsafe(`UPDATE rollouts SET state = '${LATER}' WHERE id = '${rolloutId}'`);
  for (const as of [key, app.operatorKey]) {
    expect(await shown(`/v1/jobs/${jobId}`, as)).toMatchObject({ state: LATER });
    expect(await shown(`/v1/jobs?rollout_id=${rolloutId}`, as)).toMatchObject({
      data: expect.arrayContaining([expect.objectContaining({ id: jobId, state: LATER })]),
    });
    expect(await shown(`/v1/rollouts/${rolloutId}`, as)).toMatchObject({ state: LATER, jobs: { [LATER]: 1 } });
    expect(await shown(`/v1/rollouts/${rolloutId}/report`, as)).toBeTypeOf('object');
  }
});
