import { randomUUID } from 'node:crypto';
import { newId } from '../../../src/platform/contract/ids.ts';
import { good, rawTar } from '../adapters/support.ts';
import { createTestTenant } from '../support/index.ts';
import { addBaseUpload, BASE_UPLOAD } from './add-base-upload.ts';
import type { AccessWorld, Owner } from './world.ts';

/** Parts of a request other than method and path. */
export interface ExampleRequest {
  path?: Record<string, string>;
  query?: Record<string, string>;
  body?: Record<string, unknown> | string | Buffer;
  contentType?: string;
}

interface Caller {
  /** Whether an operator makes the request and so has to name the tenant. */
  operator: boolean;
  owner: Owner;
}

type Example = (world: AccessWorld, caller: Caller) => ExampleRequest | Promise<ExampleRequest>;

const name = () => `n-${randomUUID()}`;
const tenantOf = ({ operator, owner }: Caller): Record<string, string> => (operator ? { tenant_id: owner.id } : {});
const withId =
  (kind: keyof Owner['owned']): Example =>
  (_world, { owner }) => ({ path: { id: owner.owned[kind] } });
const withVersion: Example = (_world, { owner }) => ({ path: { id: owner.owned.adp, version_id: owner.owned.adv } });
const withCurrent = ({ baseModelVersionId }: AccessWorld, { owner }: Caller) => ({
  path: { id: owner.owned.adp, base_model_version_id: baseModelVersionId },
});
const withRollback: Example = async ({ addBaseModelVersion, addRollout, service }) => {
  const id = await addRollout(await addBaseModelVersion());
  await service.db.rolloutRollback.create({ data: { rolloutId: id } });
  return { path: { id } };
};
const withJob =
  (state: 'queued' | 'failed'): Example =>
  async ({ addJob }, { owner }) => ({ path: { id: await addJob(owner, state) } });
const withRollout: Example = async ({ addBaseModelVersion, addRollout }) => ({
  path: { id: await addRollout(await addBaseModelVersion()) },
});
const withForecast = async ({ addBaseModelVersion, addRollout, service }: AccessWorld) => {
  const baseModelVersionId = await addBaseModelVersion();
  const rolloutId = await addRollout(baseModelVersionId);
  const data = { id: newId('forecast'), baseModelVersionId, rolloutId, state: 'computed', options: {} };
  return { ...(await service.db.rolloutForecast.create({ data })), rolloutId };
};
const withWorker: Example = async ({ addWorker }) => ({ path: { id: await addWorker() } });
const withEndpoint =
  (body?: Record<string, unknown>): Example =>
  async ({ addEndpoint }, { owner }) => ({ path: { id: await addEndpoint(owner) }, body });
const withReplica =
  (body?: Record<string, unknown>): Example =>
  async ({ addReplica }) => ({ path: { id: await addReplica() }, body });
const withBaseUpload =
  (isWhole = false): Example =>
  async ({ service }) => ({ path: { id: await addBaseUpload(service.db, isWhole) } });
const plain: Example = () => ({});

/**
 * A request per operation that succeeds with the identifiers of its owner, for any admitted caller and any number of
 * times.
 */
export const EXAMPLES: Readonly<Record<string, Example>> = {
  approveRollout: async ({ addBaseModelVersion, addWaitingRollout }) => ({
    path: { id: await addWaitingRollout(await addBaseModelVersion()) },
    body: { wave: 2 },
  }),
  approveJob: withJob('queued'),
  cancelJob: withId('job'),
  cancelRollout: withRollout,
  cancelRolloutJobs: withRollout,
  createAdapter: (_world, caller) => ({
    body: {
      name: name(),
      base_model: 'tiny',
      dataset_id: caller.owner.owned.dst,
      metric: 'loss',
      gate: { kind: 'absolute', target: 2 },
      ...tenantOf(caller),
    },
  }),
  createApiKey: (_world, caller) => ({ body: { name: name(), scopes: ['tenant:read'], ...tenantOf(caller) } }),
  createBaseModel: () => ({ body: { name: name() } }),
  createBaseModelUpload: async ({ service }) => {
    // Makes room for another one.
    await service.db.baseModelUpload.deleteMany({ where: { state: 'open' } });
    return { body: BASE_UPLOAD };
  },
  completeBaseModelUpload: withBaseUpload(true),
  deleteBaseModelUpload: withBaseUpload(),
  getBaseModelUpload: withBaseUpload(),
  listBaseModelUploads: plain,
  putBaseModelUploadPart: async ({ service }) => ({
    path: { id: await addBaseUpload(service.db, false), file: 'config.json', number: '1' },
    body: Buffer.from('{}'),
    contentType: 'application/octet-stream',
  }),
  createBaseModelVersion: ({ baseModel, folders }) => ({
    path: { model: baseModel.id },
    body: { version: name(), path: folders.base, rollout: false },
  }),
  createDataset: (_world, caller) => ({
    query: { name: name(), ...tenantOf(caller) },
    body: ['search', 'gate'].map((split) => JSON.stringify({ prompt: 'a', completion: 'b', split })).join('\n'),
    contentType: 'application/x-ndjson',
  }),
  createReplica: ({ baseModelVersionId }) => ({
    body: {
      ...{ name: name(), engine: 'vllm', url: `https://${name()}.example.com`, path_prefix: '/adapters' },
      base_model_version_id: baseModelVersionId,
    },
  }),
  createRollout: async ({ addBaseModelVersion }) => ({ body: { base_model_version_id: await addBaseModelVersion() } }),
  createRolloutForecast: async ({ addBaseModelVersion }) => ({
    body: { base_model_version_id: await addBaseModelVersion() },
  }),
  createTenant: () => ({ body: { name: name() } }),
  createWebhookEndpoint: async ({ addEndpoint }, caller) => {
    // Makes room for another one.
    await addEndpoint(caller.owner);
    return { body: { url: 'https://hooks.example.com/', ...tenantOf(caller) } };
  },
  deleteAdapter: async ({ addAdapter }, { owner }) => ({ path: { id: await addAdapter(owner) } }),
  deleteAdapterVersion: async ({ addOldVersion }, { owner }) => ({
    path: { id: owner.owned.adp, version_id: await addOldVersion(owner) },
  }),
  deleteDataset: async ({ addDataset }, { owner }) => ({ path: { id: await addDataset(owner) } }),
  deleteReplica: withReplica(),
  deleteTenant: async ({ service }) => ({ path: { id: (await createTestTenant(service.db, name())).id } }),
  deleteWebhookEndpoint: withEndpoint(),
  downloadAdapterVersion: withVersion,
  downloadAdapterVersionFile: (world, caller) => {
    const { path } = withVersion(world, caller) as ExampleRequest;
    return { path: { ...path, name: 'adapter_config.json' } };
  },
  drainWorker: withWorker,
  exportAuditLog: plain,
  exportRolloutReport: ({ rolloutId }) => ({ path: { id: rolloutId } }),
  exportTenant: withId('ten'),
  exportTtrReport: plain,
  getAdapter: withId('adp'),
  getAdapterVersion: withVersion,
  getAtRisk: ({ baseModelVersionId }) => ({ path: { id: baseModelVersionId } }),
  getAttention: plain,
  getBaseModel: ({ baseModel }) => ({ path: { model: baseModel.name } }),
  getBaseModelVersion: ({ baseModelVersionId }) => ({ path: { id: baseModelVersionId } }),
  getCurrentVersion: withCurrent,
  getDataset: withId('dst'),
  listCurrentVersions: ({ baseModelVersionId }) => ({ path: { id: baseModelVersionId } }),
  resolveAdapter: ({ baseModelVersionId }, { owner }) => ({
    path: { id: owner.owned.adp },
    query: { base_model_version: baseModelVersionId },
  }),
  resolveName: async ({ baseModelVersionId, service }, { owner }) => {
    const { name } = await service.db.adapter.findUniqueOrThrow({ where: { id: owner.owned.adp } });
    return { query: { name: `${owner.name}.${name}`, base_model_version: baseModelVersionId } };
  },
  getEvolution: async ({ addEvolution, baseModelVersionId }) => ({
    path: { id: await addEvolution(baseModelVersionId) },
  }),
  getFleet: ({ baseModel }) => ({ path: { model: baseModel.name } }),
  getForecastOfRollout: async (world) => {
    const { rolloutId } = await withForecast(world);
    return { path: { id: rolloutId } };
  },
  getHealth: plain,
  getJob: withId('job'),
  getJobLadder: withId('job'),
  getReadiness: plain,
  getReplica: withReplica(),
  getRollout: ({ rolloutId }) => ({ path: { id: rolloutId } }),
  getRolloutReport: ({ rolloutId }) => ({ path: { id: rolloutId } }),
  getRolloutForecast: async (world) => {
    const { id } = await withForecast(world);
    return { path: { id } };
  },
  getSearchSurrogate: withId('job'),
  getTenant: withId('ten'),
  getTenantQuotas: withId('ten'),
  getTtrDistribution: ({ rolloutId }) => ({ path: { id: rolloutId } }),
  getTtrReport: plain,
  getWebhookEndpoint: withId('whe'),
  getWorker: withWorker,
  importAdapterVersion: ({ baseModelVersionId, folders }, { owner }) => ({
    path: { id: owner.owned.adp },
    body: { base_model_version: baseModelVersionId, path: folders.adapter },
  }),
  uploadAdapterVersion: ({ baseModelVersionId }, { owner }) => ({
    path: { id: owner.owned.adp },
    query: { base_model_version: baseModelVersionId },
    body: rawTar(good()),
    contentType: 'application/x-tar',
  }),
  liftQuarantine: withWorker,
  listAdapterVersionFiles: withVersion,
  listAdapterVersions: withId('adp'),
  listAdapters: plain,
  listApiKeys: plain,
  listAuditEntries: plain,
  listBaseModelVersions: ({ baseModel }) => ({ path: { model: baseModel.id } }),
  listBaseModels: plain,
  listDatasets: plain,
  listEvents: plain,
  listEvolutions: ({ baseModelVersionId }) => ({ path: { id: baseModelVersionId } }),
  listJobEvents: withId('job'),
  listJobMetrics: withId('job'),
  listJobs: plain,
  listNegativeFlips: withVersion,
  listReplicaAdapters: withReplica(),
  listReplicas: plain,
  listRolloutForecasts: plain,
  listRolloutEvents: ({ rolloutId }) => ({ path: { id: rolloutId } }),
  listRollouts: plain,
  listSearchPoints: withId('job'),
  listTenants: plain,
  listWebhookDeliveries: withId('whe'),
  listWebhookEndpoints: plain,
  listWorkers: plain,
  pauseJob: withJob('queued'),
  pauseRollout: withRollout,
  pauseRolloutJobs: withRollout,
  releaseWorker: withWorker,
  replayWebhookDelivery: (_world, { owner }) => ({ path: { id: owner.owned.whe, delivery_id: owner.owned.whd } }),
  replayWebhookEvents: (_world, { owner }) => ({ path: { id: owner.owned.whe }, body: { after: '0' } }),
  resumeJob: withJob('queued'),
  resumeRollout: withRollout,
  resumeRolloutJobs: withRollout,
  retryJob: withJob('failed'),
  retryRolloutJobs: withRollout,
  revokeApiKey: withId('key'),
  getRollback: withRollback,
  rollBackRollout: async ({ addBaseModelVersion, addRollout, service }) => {
    const id = await addRollout(await addBaseModelVersion());
    await service.db.rollout.update({ where: { id }, data: { state: 'completed', finishedAt: new Date() } });
    return { path: { id } };
  },
  rotateApiKey: async ({ addKey }, { owner }) => ({ path: { id: await addKey(owner) }, body: {} }),
  streamEvents: plain,
  streamJobEvents: withId('job'),
  streamRolloutEvents: ({ rolloutId }) => ({ path: { id: rolloutId } }),
  rotateWebhookSecret: withEndpoint({}),
  testWebhookEndpoint: withEndpoint(),
  undeleteAdapter: withId('adp'),
  undeleteAdapterVersion: withVersion,
  undeleteDataset: withId('dst'),
  undeleteTenant: withId('ten'),
  updateBaseModel: ({ baseModel }) => ({ path: { model: baseModel.id }, body: { policy: null } }),
  updateBaseModelVersion: ({ baseModelVersionId }) => ({
    path: { id: baseModelVersionId },
    body: { retires_at: '2030-01-01T00:00:00.000Z' },
  }),
  updateAdapter: (_world, { owner }) => ({ path: { id: owner.owned.adp }, body: { dataset_id: owner.owned.dst } }),
  updateReplica: withReplica({ max_adapters: 5 }),
  updateWebhookEndpoint: (_world, { owner }) => ({ path: { id: owner.owned.whe }, body: { description: name() } }),
  setCurrentVersion: async (world, caller) => {
    const { baseModelVersionId } = world;
    const key = { adapterId_baseModelVersionId: { adapterId: caller.owner.owned.adp, baseModelVersionId } };
    const current = await world.service.db.currentVersion.findUnique({ where: key });
    const body = { version_id: caller.owner.owned.adv, expected_version_id: current!.adapterVersionId };
    return { ...withCurrent(world, caller), body };
  },
  setTenantQuotas: (_world, { owner }) => ({ path: { id: owner.owned.ten }, body: {} }),
  whoami: plain,
};
