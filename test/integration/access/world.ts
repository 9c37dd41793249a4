import { randomUUID } from 'node:crypto';
import { cp } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { newId } from '../../../src/platform/contract/ids.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { createAdapterInspector } from '../../../src/fleet/adapters/index.ts';
import { loadConfig } from '../../../src/platform/config/config.ts';
import { createTestApp, createTestTenant, untilReadable, type TestApp, type TestTenant } from '../support/index.ts';
import { addReplica } from './add-replica.ts';

const CONTROL = fileURLToPath(new URL('../../fixtures/golden/broken/control/', import.meta.url));

const ROWS = {
  headers: { 'content-type': 'application/x-ndjson' },
  payload: ['search', 'gate'].map((split) => JSON.stringify({ prompt: 'x', completion: 'x', split })).join('\n'),
};
const ADAPTER = { base_model: 'tiny', metric: 'loss', gate: { kind: 'absolute', target: 2 } };

const LADDER = {
  ended: true,
  current_rung: null,
  published_candidate: null,
  rungs: [],
  candidates: [],
  candidates_left_out: 0,
};

/** Tenant that owns one of everything that a tenant can own. Identifiers are named by their prefixes. */
export interface Owner extends TestTenant {
  owned: Record<'ten' | 'key' | 'dst' | 'adp' | 'adv' | 'job' | 'whe' | 'whd', string>;
}

export interface AccessWorld {
  service: TestApp;
  acme: Owner;
  other: Owner;
  baseModel: { id: string; name: string };
  baseModelVersionId: string;
  rolloutId: string;
  /** Folders of a base model and an adapter that requests may name. */
  folders: { base: string; adapter: string };
  /** Inserts another version of the base model. */
  addBaseModelVersion(): Promise<string>;
  /** Adds an evolution from another version to this one. */
  addEvolution(baseModelVersionId: string): Promise<string>;
  addRollout(baseModelVersionId: string): Promise<string>;
  /** Adds a rollout of two waves, the second of which waits for approval. */
  addWaitingRollout(baseModelVersionId: string): Promise<string>;
  addKey(owner: Owner): Promise<string>;
  addDataset(owner: Owner): Promise<string>;
  /** Adds an adapter without versions. */
  addAdapter(owner: Owner): Promise<string>;
  /** Adds two versions to the owner's adapter. @returns the first one, which is not the latest */
  addOldVersion(owner: Owner): Promise<string>;
  /** Adds a queued or failed job in a rollout of its own. */
  addJob(owner: Owner, state: 'queued' | 'failed'): Promise<string>;
  addWorker(): Promise<string>;
  /** Replaces the webhook endpoints added before by a new one. */
  addEndpoint(owner: Owner): Promise<string>;
  /** Adds a replica of a serving engine. */
  addReplica(): Promise<string>;
  close(): Promise<void>;
}

/** Real service with two tenants, each owning one of everything. */
export async function createAccessWorld({ rowSecurity = true } = {}): Promise<AccessWorld> {
  const inspector = createAdapterInspector(loadConfig({}), createLogger({ level: 'silent', pretty: false }));
  const service = await createTestApp({ deps: { inspector, rowSecurity } });
  const { db } = service;
  await cp(CONTROL, path.join(service.allowedRoot, 'control'), { recursive: true });
  const folders = {
    base: path.join(service.allowedRoot, 'control', 'base'),
    adapter: path.join(service.allowedRoot, 'control', 'adapter'),
  };
  const baseModel = await db.baseModel.create({ data: { id: newId('baseModel'), name: 'tiny' } });
  const addBaseModelVersion = async (): Promise<string> => {
    const id = newId('baseModelVersion');
    await db.baseModelVersion.create({
      data: { id, baseModelId: baseModel.id, version: id, path: folders.base, servingName: 'tiny' },
    });
    return id;
  };
  const addEvolution = async (newBaseModelVersionId: string): Promise<string> => {
    const oldBaseModelVersionId = await addBaseModelVersion();
    const data = { id: newId('evolution'), oldBaseModelVersionId, newBaseModelVersionId };
    return (await db.evolution.create({ data })).id;
  };
  const addRollout = async (baseModelVersionId: string): Promise<string> => {
    const { id } = await db.rollout.create({ data: { id: newId('rollout'), baseModelVersionId, options: {} } });
    return id;
  };
  const addWaitingRollout = async (version: string): Promise<string> => {
    const id = await addRollout(version);
    const options = { policy: { waves: [{ count: 1 }], approve: 'manual' } };
    const data = { waveLimits: ['0'], awaitingApproval: true, options };
    await db.rollout.update({ where: { id }, data: { ...data, state: 'adapting' } });
    return id;
  };
  const addJob: AccessWorld['addJob'] = async ({ id: tenantId, owned }, state) => {
    const rolloutId = await addRollout(await addBaseModelVersion());
    const what = { tenantId, rolloutId, adapterId: owned.adp, sourceVersionId: owned.adv };
    const finishedAt = state === 'failed' ? new Date() : null;
    const data = { id: newId('job'), ...what, strategy: 'auto', metricName: 'loss', state, finishedAt };
    return (await db.job.create({ data })).id;
  };
  const baseModelVersionId = await addBaseModelVersion();
  const rolloutId = await addRollout(baseModelVersionId);
  const base = { baseModel, baseModelVersionId, rolloutId, folders };
  const acme = await createOwner(service, 'acme', base);
  const other = await createOwner(service, 'other', base);
  await untilReadable(db);
  const close = async () => {
    await service.close();
    await inspector.close();
  };
  return {
    service,
    acme,
    other,
    ...base,
    addBaseModelVersion,
    addEvolution,
    addRollout,
    ...additionsTo(service),
    addWaitingRollout,
    addJob,
    close,
  };
}

type Additions = Pick<
  AccessWorld,
  'addKey' | 'addDataset' | 'addAdapter' | 'addOldVersion' | 'addWorker' | 'addEndpoint' | 'addReplica'
>;

function additionsTo(service: TestApp): Additions {
  const { db } = service;
  return {
    addKey: (owner) => made(service, owner, '/v1/api-keys', { payload: { name: 'spare', scopes: ['tenant:read'] } }),
    addDataset: (owner) => made(service, owner, `/v1/datasets?name=d-${randomUUID()}`, ROWS),
    addAdapter: (owner) =>
      made(service, owner, '/v1/adapters', {
        payload: { ...ADAPTER, name: `a-${randomUUID()}`, dataset_id: owner.owned.dst },
      }),
    async addEndpoint(owner) {
      await db.webhookEndpoint.deleteMany({ where: { tenantId: owner.id, id: { not: owner.owned.whe } } });
      return made(service, owner, '/v1/webhook-endpoints', { payload: { url: 'https://hooks.example.com/' } });
    },
    async addOldVersion({ owned }) {
      const last = await db.adapterVersion.findFirst({ where: { adapterId: owned.adp }, orderBy: { number: 'desc' } });
      const { metrics: _metrics, source: _source, servedFeatures: _features, ...copied } = last!;
      const [id, newest] = [newId('adapterVersion'), newId('adapterVersion')];
      await db.adapterVersion.create({ data: { ...copied, id, number: copied.number + 1 } });
      await db.adapterVersion.create({ data: { ...copied, id: newest, number: copied.number + 2 } });
      return id;
    },
    addReplica: () => addReplica(db, null),
    async addWorker() {
      const id = newId('worker');
      const figures = { version: '0.0.0', device: 'cpu', state: 'ready', unreadableBases: [] };
      await db.workerProcess.create({ data: { id, host: 'test', pid: 1, ...figures } });
      return id;
    },
  };
}

/** Creates something as the owner. @returns its identifier */
async function made(service: TestApp, { key }: TestTenant, url: string, request: object): Promise<string> {
  const answer = await service.request({ method: 'POST', url, key, ...request });
  if (answer.statusCode !== 201) throw new Error(answer.body);
  return answer.json<{ id: string }>().id;
}

async function createOwner(
  service: TestApp,
  name: string,
  base: Pick<AccessWorld, 'baseModel' | 'baseModelVersionId' | 'rolloutId' | 'folders'>,
): Promise<Owner> {
  const { db } = service;
  const tenant = await createTestTenant(db, name);
  const create = (url: string, request: object) => made(service, tenant, url, request);
  const key = await create('/v1/api-keys', { payload: { name: 'spare', scopes: ['tenant:read'] } });
  const dst = await create('/v1/datasets?name=rows', ROWS);
  const adp = await create('/v1/adapters', {
    payload: { ...ADAPTER, name: 'main', dataset_id: dst, labels: { tier: 'gold' } },
  });
  const adv = await create(`/v1/adapters/${adp}/versions`, {
    payload: { base_model_version: base.baseModelVersionId, path: base.folders.adapter },
  });
  const job = newId('job');
  await db.job.create({
    data: {
      id: job,
      tenantId: tenant.id,
      rolloutId: base.rolloutId,
      adapterId: adp,
      sourceVersionId: adv,
      strategy: 'auto',
      metricName: 'loss',
      ladders: { create: { tenantId: tenant.id, retriedAfter: 0, strategy: 'auto', ladder: LADDER } },
      metricPoints: { create: { tenantId: tenant.id, name: 'loss', step: 1, value: 0.5 } },
      wait: { create: { tenantId: tenant.id, rolloutId: base.rolloutId, waitsForJobId: newId('job') } },
      searchEvaluations: {
        create: {
          index: 0,
          tenantId: tenant.id,
          fusionAlpha: 1,
          fusionBeta: -1,
          rows: 1,
          metric: 'loss',
          loss: 1,
          durationMs: 1,
        },
      },
    },
  });
  await db.gateOutcomes.create({
    data: {
      adapterVersionId: adv,
      tenantId: tenant.id,
      digest: `sha256:${'0'.repeat(64)}`,
      value: 1,
      standardError: 0,
      values: [1],
    },
  });
  await db.outcomeRequest.create({ data: { adapterVersionId: adv, tenantId: tenant.id } });
  await db.negativeFlips.create({
    data: { adapterVersionId: adv, tenantId: tenant.id, datasetId: dst, flips: [{ row: 2, slices: ['de'] }] },
  });
  const now = new Date();
  await db.deviceUse.create({ data: { tenantId: tenant.id, jobId: job, startedAt: now, endedAt: now } });
  const { rolloutId } = await db.job.findUniqueOrThrow({ where: { id: job } });
  await db.rollbackCount.create({ data: { rolloutId, tenantId: tenant.id, rolledBack: 1, leftAlone: 0 } });
  const expiresAt = new Date(now.getTime() + 86_400_000);
  await db.uploadReservation.create({ data: { id: newId('reservation'), tenantId: tenant.id, bytes: 0n, expiresAt } });
  const whe = await create('/v1/webhook-endpoints', { payload: { url: 'https://hooks.example.com/' } });
  const whd = newId('webhookDelivery');
  const sent = { eventId: newId('event'), eventType: 'job.ready', state: 'delivered' };
  await db.webhookDelivery.create({ data: { id: whd, endpointId: whe, tenantId: tenant.id, ...sent } });
  await addReplica(db, tenant.id);
  return { ...tenant, owned: { ten: tenant.id, key, dst, adp, adv, job, whe, whd } };
}
