import { Registry } from 'prom-client';
import { expect } from 'vitest';
import { withTransaction } from '../../../../src/platform/database/database.ts';
import { newId } from '../../../../src/platform/contract/ids.ts';
import type { ClaimLoop } from '../../../../src/lib/claim-loop.ts';
import { createAddressPolicy } from '../../../../src/platform/outgoing/address-policy.ts';
import { createSecretBox } from '../../../../src/platform/config/secret-box.ts';
import { insertAdapterVersion } from '../../../../src/fleet/adapters/adapter.repository.ts';
import { createReconciler, createSyncMetrics, SYNC_TIMES } from '../../../../src/delivery/replicas/index.ts';
import type { Replica, ReplicaAdapter } from '../../../../src/delivery/replicas/replica.schemas.ts';
import { createFleet, type Fleet } from '../../queue/fleet.ts';
import { createTestApp, type TestApp } from '../../support/index.ts';
import { createEngineServer, type EngineKind, type EngineServer } from './engine-server.ts';

export const SERVING_NAME = 'acme/assistant-1';
export const FOLDER = '/mnt/adapters/bmv';

/**
 * Times for tests: short pauses and no full listings. Requests to an engine have production timeouts, so that none
 * times out on a busy machine.
 */
export const TEST_TIMES = {
  ...SYNC_TIMES,
  checkMs: 200,
  resyncMs: 3_600_000,
  retryMs: 100,
  longestRetryMs: 200,
};

export interface ReconcilerSettings extends Partial<typeof TEST_TIMES> {
  secretKeys?: readonly string[];
}

export interface ReplicaWorld {
  app: TestApp;
  /** Fleet of two tenants with two adapters each, on one base model version. */
  fleet: Fleet;
  metrics: Registry;
  engine(kind?: EngineKind, servingName?: string): Promise<EngineServer>;
  /** Adds an engine as a replica. */
  add(engine: EngineServer, settings?: object): Promise<Replica>;
  get(id: string): Promise<Replica>;
  adapters(id: string, query?: string): Promise<ReplicaAdapter[]>;
  /**
   * First adapter of the replica in state `failed`. It is retried meanwhile and does not count as failed during that.
   */
  firstFailed(id: string): Promise<ReplicaAdapter | undefined>;
  /** Waits until a replica reaches a state. */
  reaches(id: string, state: Replica['state']): Promise<void>;
  reconciler(settings?: ReconcilerSettings): ClaimLoop;
  /** Engine name of an adapter of the fleet, with or without a version number. */
  name(adapter: number, version?: number): string;
  path(adapter: number, version?: number): string;
  /** Publishes another version of an adapter and makes it current. @returns its identifier */
  publish(adapter: number): Promise<string>;
  /** Makes an earlier version current again, or none (null). */
  makeCurrent(adapter: number, versionId: string | null): Promise<void>;
  currentVersion(adapter: number): Promise<string>;
  send(method: 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object): Promise<{ status: number; body: unknown }>;
  events(id: string): Promise<string[]>;
  /** Stops reconcilers and engines and removes replicas. The fleet stays for the next test. */
  removeReplicas(): Promise<void>;
  /** Stops reconcilers and engines and removes replicas and the fleet. */
  reset(): Promise<void>;
  begin(): Promise<void>;
  close(): Promise<void>;
}

/** Service with a small fleet, whose replicas may be on this machine. */
export async function createReplicaWorld(env: Record<string, string> = {}): Promise<ReplicaWorld> {
  const app = await createTestApp({ env: { READAPT_REPLICA_ALLOWED_RANGES: '127.0.0.1/32', ...env } });
  const opened: (() => Promise<void>)[] = [];
  const metrics = new Registry();
  const counted = createSyncMetrics(metrics);
  let names: { tenant: string; adapter: string }[] = [];
  const ask = async <T>(url: string): Promise<T> => (await app.request({ url })).json<T>();
  const send: ReplicaWorld['send'] = async (method, url, payload) => {
    const answer = await app.request({ method, url, ...(payload === undefined ? {} : { payload }) });
    return { status: answer.statusCode, body: answer.body === '' ? null : answer.json<unknown>() };
  };
  const currentOf = async (adapter: number) =>
    app.db.currentVersion.findUniqueOrThrow({
      where: {
        adapterId_baseModelVersionId: {
          adapterId: world.fleet.adapters[adapter]!,
          baseModelVersionId: world.fleet.oldVersionId,
        },
      },
    });
  const world: ReplicaWorld = {
    app,
    fleet: undefined as unknown as Fleet,
    metrics,
    async begin() {
      world.fleet = await createFleet(app.db, { tenants: 2, adapters: 4 });
      await app.db.baseModelVersion.update({
        where: { id: world.fleet.oldVersionId },
        data: { servingName: SERVING_NAME },
      });
      for (const tenantId of world.fleet.tenants) await giveGateRows(app, tenantId);
      const rows = await app.db.adapter.findMany({ include: { tenant: true } });
      names = world.fleet.adapters.map((id) => {
        const { name, tenant } = rows.find((row) => row.id === id)!;
        return { tenant: tenant.name, adapter: name };
      });
    },
    async engine(kind = 'vllm', servingName = SERVING_NAME) {
      const engine = await createEngineServer(kind, servingName);
      opened.push(() => engine.stop());
      return engine;
    },
    async add(engine, settings = {}) {
      const { status, body } = await send('POST', '/v1/replicas', {
        ...{ name: `r-${engine.url.split(':').at(-1)}`, engine: engine.kind, url: engine.url, path_prefix: FOLDER },
        ...{ base_model_version_id: world.fleet.oldVersionId, ...settings },
      });
      if (status !== 201) throw new Error(JSON.stringify(body));
      return body as Replica;
    },
    get: (id) => ask(`/v1/replicas/${id}`),
    adapters: async (id, query = '') =>
      (await ask<{ data: ReplicaAdapter[] }>(`/v1/replicas/${id}/adapters${query}`)).data,
    firstFailed: async (id) => (await world.adapters(id, '?state=failed'))[0],
    // Each look costs the process that also syncs a request, so there are not too many of them.
    reaches: (id, state) =>
      expect.poll(() => world.get(id).then((replica) => replica.state), { interval: 50 }).toBe(state),
    reconciler({ secretKeys = app.config.secretKeys, ...times } = {}) {
      const { db, deps } = app;
      const reconciler = createReconciler({
        ...{ db, artifacts: deps.artifacts, logger: deps.logger, metrics: counted },
        box: createSecretBox(secretKeys),
        policy: createAddressPolicy(app.config.replicaAllowedRanges),
        times: { ...TEST_TIMES, ...times },
        intervalMs: 40,
        graceMs: 100,
      });
      opened.push(() => reconciler.stop());
      reconciler.start();
      return reconciler;
    },
    name(adapter, version) {
      const { tenant, adapter: name } = names[adapter]!;
      return `${tenant}.${name}${version === undefined ? '' : `@${version}`}`;
    },
    path: (adapter, version = 1) => `${FOLDER}/${world.name(adapter, version)}`,
    async publish(adapter) {
      const adapterId = world.fleet.adapters[adapter]!;
      const { tenantId, artifactDigest } = await app.db.adapterVersion.findFirstOrThrow({ where: { adapterId } });
      const base = { baseModelVersionId: world.fleet.oldVersionId, origin: 'imported', rank: 4, loraAlpha: 8 } as const;
      const version = { id: newId('adapterVersion'), tenantId, adapterId, artifactDigest, ...base };
      return (await withTransaction(app.db, (tx) => insertAdapterVersion(tx, version))).id;
    },
    async makeCurrent(adapter, versionId) {
      const { adapterId, baseModelVersionId, adapterVersionId } = await currentOf(adapter);
      const answer = await app.request({
        method: 'PUT',
        url: `/v1/adapters/${adapterId}/current/${baseModelVersionId}`,
        payload: { version_id: versionId, expected_version_id: adapterVersionId },
      });
      expect(answer.statusCode).toBe(200);
    },
    currentVersion: async (adapter) => (await currentOf(adapter)).adapterVersionId!,
    send,
    events: async (id) =>
      (await app.db.event.findMany({ where: { subjectId: id }, orderBy: { seq: 'asc' } })).map(({ type }) => type),
    async removeReplicas() {
      for (const close of opened.splice(0).reverse()) await close();
      await app.db.replica.deleteMany();
    },
    async reset() {
      await world.removeReplicas();
      await world.fleet.remove();
    },
    close: () => app.close(),
  };
  return world;
}

/** Prompts of the gate rows in each tenant's dataset. */
export const GATE_PROMPTS = ['gate row 1', 'gate row 2'];

/** Uploads a dataset for a tenant's adapters. */
async function giveGateRows(app: TestApp, tenantId: string): Promise<void> {
  const rows = [
    { prompt: 'a training row', split: 'training' },
    { prompt: 'a search row', split: 'search' },
    ...GATE_PROMPTS.map((prompt) => ({ prompt, split: 'gate' })),
  ];
  const dataset = await app.request({
    method: 'POST',
    url: `/v1/datasets?name=gate-rows&tenant_id=${tenantId}`,
    headers: { 'content-type': 'application/x-ndjson' },
    payload: rows.map((row) => JSON.stringify({ ...row, completion: 'x' })).join('\n'),
  });
  const { id: datasetId } = dataset.json<{ id: string }>();
  await app.db.adapter.updateMany({ where: { tenantId }, data: { datasetId } });
}
