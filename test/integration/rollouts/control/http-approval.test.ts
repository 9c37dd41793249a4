import { afterEach, describe, expect, test } from 'vitest';
import { Webhook } from 'standardwebhooks';
import type { ClaimLoop } from '../../../../src/lib/claim-loop.ts';
import { createAddressPolicy } from '../../../../src/platform/outgoing/address-policy.ts';
import { createPost } from '../../../../src/platform/outgoing/post.ts';
import { withTransaction } from '../../../../src/platform/database/database.ts';
import { createApprovalAsker, followInBatches } from '../../../../src/fleet/rollouts/index.ts';
import { approveWave } from '../../../../src/fleet/rollouts/waves/waves.ts';
import { addVersion } from '../../queue/fleet.ts';
import { eventually } from '../../../eventually.ts';
import { logger } from '../../queue/test-queue.ts';
import { createTestApp, createTestTenant } from '../../support/index.ts';
import { createReceiver, type Receiver } from '../../webhooks/receiver.ts';
import { useControlledFleets } from './controlled-fleet.ts';

const SECRET = `whsec_${Buffer.alloc(32, 3).toString('base64')}`;
const POLICY = createAddressPolicy(['127.0.0.1/32']);

const world = useControlledFleets();
const opened: { askers: ClaimLoop[]; receivers: Receiver[] } = { askers: [], receivers: [] };
afterEach(async () => {
  for (const asker of opened.askers.splice(0)) await asker.stop();
  for (const receiver of opened.receivers.splice(0)) await receiver.close();
});

async function receive(answer: Receiver['answer']): Promise<Receiver> {
  const receiver = await createReceiver();
  receiver.answer = answer;
  opened.receivers.push(receiver);
  return receiver;
}

function startAsker(): void {
  const asker = createApprovalAsker({
    db: world.db,
    producer: world.queue.producer,
    post: (timeoutMs) => createPost({ policy: POLICY, timeoutMs }),
    secrets: [SECRET],
    logger,
    delayMs: () => 1,
    intervalMs: 20,
  });
  opened.askers.push(asker);
  asker.start();
}

/** Starts a rollout of three adapters whose second wave needs approval. */
async function start(url: string) {
  const fleet = await world.fleetOf({ tenants: 1, adapters: 3 });
  await world.work(fleet);
  return { fleet, id: await world.start(fleet, {}, { policy: policyOf(url) }) };
}

const policyOf = (url: string) => ({ waves: [{ count: 1 }], approve: { url, timeout_ms: 5000 } });

const says = (body: object) => ({ status: 200, body: JSON.stringify(body) });
const approvals = async (id: string) => (await world.eventsOf(id)).filter((type) => type.includes('approval'));
const waits = (id: string) =>
  eventually(
    'the second wave waits',
    async () => (await world.rollouts.get(id, null)).waves?.awaiting_approval === true,
  );

describe('a wave that is approved over HTTP', () => {
  test('begins when the answer says so, after as many requests as it takes, each signed', async () => {
    const answers = [{ status: 202 }, { status: 500 }, says({ approved: null }), says({ approved: true })];
    const receiver = await receive((_request, index) => answers[index]!);
    const { fleet, id } = await start(receiver.url);
    for (let process = 0; process < 3; process++) startAsker();
    expect(await world.ended(id, 'completed')).toMatchObject({ jobs: { ready: 3 }, waves: { released: 2, total: 2 } });
    expect(receiver.received).toHaveLength(4);
    expect(receiver.mostAtOnce).toBe(1);
    for (const { headers, body } of receiver.received) {
      expect(headers['webhook-id']).toBe(`${id}_2`);
      expect(new Webhook(SECRET).verify(body, headers as Record<string, string>)).toMatchObject({
        type: 'rollout.approval_requested',
        data: {
          ...{ rollout_id: id, base_model_version_id: fleet.newVersionId, wave: 2, waves: 2 },
          last_wave: { wave: 1, jobs: 1, unready: 0, metric_drop: expect.any(Number), negative_flips: null },
        },
      });
    }
    const asked = ['rollout.approval_requested', 'rollout.approval_unanswered'];
    const last = ['rollout.approval_requested', 'rollout.approval_answered'];
    expect(await approvals(id)).toEqual([...asked, ...asked, ...asked, ...last]);
  });

  test('pauses the rollout when the answer is no, and is asked about again when it is resumed', async () => {
    // The reason ends with half of a surrogate pair, which PostgreSQL cannot store.
    let reason: string | null = 'the canary answers in French \ud83d';
    const receiver = await receive(() => says(reason === null ? { approved: true } : { approved: false, reason }));
    const { fleet, id } = await start(receiver.url);
    startAsker();
    const paused = await world.ended(id, 'paused');
    const message = 'wave 2 was not approved: the canary answers in French \ufffd';
    expect(paused.paused_reason).toEqual({ code: 'approval_refused', message, wave: 2 });
    const shown = await world.rollouts.get(id, fleet.tenants[0]!);
    expect(shown.paused_reason).toEqual({ code: 'approval_refused', message: 'a wave was not approved' });
    // The address is left out.
    expect(shown.options.policy).toMatchObject({ waves: [{ count: 1 }], approve: 'manual' });
    expect(shown.jobs).toEqual({ ready: 1, held: 2 });
    expect(receiver.received).toHaveLength(1);
    reason = null;
    await world.rollouts.resume(id);
    expect((await world.ended(id, 'completed')).jobs).toEqual({ ready: 3 });
  });

  test('can be released by a person, and an answer that comes later changes nothing', async () => {
    let release: (() => void) | undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const receiver = await receive(() => released.then(() => says({ approved: false, reason: 'too late' })));
    const { id } = await start(receiver.url);
    startAsker();
    await receiver.waitFor(1);
    await world.rollouts.approve(id, 2);
    release!();
    expect((await world.ended(id, 'completed')).jobs).toEqual({ ready: 3 });
    for (const asker of opened.askers.splice(0)) await asker.stop();
    expect(await approvals(id)).toEqual(['rollout.approval_requested']);
  });

  test('is not asked about again by a process that looked while another released it', async () => {
    const receiver = await receive(() => says({ approved: true }));
    const { id } = await start(receiver.url);
    await waits(id);
    await world.db.approvalRequest.create({ data: { rolloutId: id, wave: 2, attempts: 1 } });
    await withTransaction(world.db, async (tx) => {
      await tx.$queryRaw`SELECT id FROM rollouts WHERE id = ${id} FOR NO KEY UPDATE`;
      await tx.$queryRaw`SELECT wave FROM approval_requests WHERE rollout_id = ${id} FOR UPDATE`;
      startAsker();
      await eventually('the process waits for the lock', async () => {
        const rows = await world.db.$queryRaw<unknown[]>`
          SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
            AND (query LIKE '%INTO approval_requests%' OR query LIKE '%{policy,approve}%')`;
        return rows.length > 0;
      });
      await approveWave(tx, id, 2);
    });
    await followInBatches({ db: world.db, producer: world.queue.producer }, id);
    expect((await world.ended(id, 'completed')).jobs).toEqual({ ready: 3 });
    for (const asker of opened.askers.splice(0)) await asker.stop();
    expect(receiver.received).toEqual([]);
  });

  test('is asked about by another process when the one that asked has died', async () => {
    const receiver = await receive(() => says({ approved: true }));
    // Each rollout takes the adapters of one tenant, so that neither supersedes the other and one worker has the files
    // of both.
    const fleet = await world.fleetOf({ tenants: 2, adapters: 6 });
    await world.work(fleet);
    const begin = async (base_model_version_id: string, tenant: number) => {
      const policy = { ...policyOf(receiver.url), selection: { tenants: [fleet.tenants[tenant]!] } };
      return (await world.rollouts.create({ base_model_version_id, options: { policy } })).id;
    };
    const id = await begin(fleet.newVersionId, 0);
    await waits(id);
    const lease = { leaseOwner: 'dead', leaseExpiresAt: new Date(Date.now() + 3_600_000) };
    await world.db.approvalRequest.create({ data: { rolloutId: id, wave: 2, attempts: 1, ...lease } });
    startAsker();
    // Meanwhile another waiting wave is asked about, but this one is not.
    const other = await begin(await addVersion(world.db, fleet), 1);
    await world.ended(other, 'completed');
    expect(receiver.received.map(({ headers }) => headers['webhook-id'])).toEqual([`${other}_2`]);
    await world.db.approvalRequest.updateMany({ where: { rolloutId: id }, data: { leaseExpiresAt: new Date() } });
    expect((await world.ended(id, 'completed')).jobs).toEqual({ ready: 3 });
  });
});

describe('a policy with an address', () => {
  const env = { READAPT_APPROVAL_SECRET: SECRET };
  const withUrl = (url: string) => ({ approve: { url } });

  const ADDRESS_REFUSED =
    'is refused where the address cannot be used, at every place for a policy, and is hidden from tenants';
  test(ADDRESS_REFUSED, async () => {
    const app = await createTestApp({ env });
    const post = (url: string, payload: object) => app.request({ method: 'POST', url, payload });
    const inner = withUrl('https://169.254.169.254/latest');
    const created = await post('/v1/base-models', { name: 'asked', policy: withUrl('https://hooks.example.com/') });
    expect(created.statusCode).toBe(201);
    const versions = '/v1/base-models/asked/versions';
    const ofVersion = {
      base_model_version_id: 'bmv_01900000-0000-7000-8000-000000000000',
      options: { policy: inner },
    };
    for (const answer of [
      await post('/v1/base-models', { name: 'other', policy: inner }),
      await app.request({ method: 'PATCH', url: '/v1/base-models/asked', payload: { policy: inner } }),
      await post(versions, { version: '1', path: app.allowedRoot, rollout: { policy: inner } }),
      await post('/v1/rollouts', ofVersion),
      await post('/v1/rollout-forecasts', ofVersion),
    ]) {
      expect([answer.statusCode, answer.json().code]).toEqual([422, 'url_not_allowed']);
    }
    const { key } = await createTestTenant(app.db, 'acme');
    for (const url of ['/v1/base-models', '/v1/base-models/asked']) {
      expect((await app.request({ url })).body).toContain('hooks.example.com');
      expect((await app.request({ url, key })).body).not.toContain('hooks.example.com');
    }
    await app.close();
  });

  test('is refused without a secret to sign with, which the answer names', async () => {
    const app = await createTestApp();
    const payload = { name: 'asked', policy: withUrl('https://hooks.example.com/') };
    const answer = await app.request({ method: 'POST', url: '/v1/base-models', payload });
    expect(answer.statusCode).toBe(503);
    expect(answer.json()).toMatchObject({
      code: 'approval_secret_missing',
      detail: expect.stringContaining('READAPT_APPROVAL_SECRET'),
    });
    await app.close();
  });
});
