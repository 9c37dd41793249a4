import { cp } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { newId } from '../../../src/lib/ids.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { createAdapterInspector } from '../../../src/modules/adapters/index.ts';
import { loadConfig } from '../../../src/config/config.ts';
import { createTestApp, createTestTenant, type TestApp, type TestTenant } from '../support/index.ts';

const CONTROL = fileURLToPath(new URL('../../fixtures/golden/broken/control/', import.meta.url));

/** A tenant with one of each thing that a tenant can own. The identifiers have the names of their prefixes. */
export interface Owner extends TestTenant {
  owned: Record<'ten' | 'key' | 'dst' | 'adp' | 'adv' | 'job', string>;
}

export interface AccessWorld {
  service: TestApp;
  acme: Owner;
  other: Owner;
  baseModel: { id: string; name: string };
  baseModelVersionId: string;
  rolloutId: string;
  /** Folders of a base model and of an adapter, which requests may name. */
  folders: { base: string; adapter: string };
  /** Inserts another version of the base model. */
  addBaseModelVersion(): Promise<string>;
  addRollout(baseModelVersionId: string): Promise<string>;
  close(): Promise<void>;
}

/** The real service with two tenants, of which each has one of everything. */
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
  const addRollout = async (baseModelVersionId: string): Promise<string> => {
    const { id } = await db.rollout.create({ data: { id: newId('rollout'), baseModelVersionId, options: {} } });
    return id;
  };
  const baseModelVersionId = await addBaseModelVersion();
  const rolloutId = await addRollout(baseModelVersionId);
  const base = { baseModel, baseModelVersionId, rolloutId, folders };
  const acme = await createOwner(service, 'acme', base);
  const other = await createOwner(service, 'other', base);
  const close = async () => {
    await service.close();
    await inspector.close();
  };
  return { service, acme, other, ...base, addBaseModelVersion, addRollout, close };
}

async function createOwner(
  service: TestApp,
  name: string,
  base: Pick<AccessWorld, 'baseModel' | 'baseModelVersionId' | 'rolloutId' | 'folders'>,
): Promise<Owner> {
  const { db } = service;
  const tenant = await createTestTenant(db, name);
  const made = async (url: string, request: object): Promise<string> => {
    const answer = await service.request({ method: 'POST', url, key: tenant.key, ...request });
    if (answer.statusCode !== 201) throw new Error(answer.body);
    return answer.json<{ id: string }>().id;
  };
  const key = await made('/v1/api-keys', { payload: { name: 'spare', scopes: ['tenant:read'] } });
  const dst = await made('/v1/datasets?name=rows', {
    headers: { 'content-type': 'application/x-ndjson' },
    payload: ['search', 'gate'].map((split) => JSON.stringify({ prompt: name, completion: 'x', split })).join('\n'),
  });
  const adp = await made('/v1/adapters', {
    payload: {
      name: 'main',
      base_model: 'tiny',
      dataset_id: dst,
      metric: 'loss',
      gate: { kind: 'absolute', target: 2 },
    },
  });
  const adv = await made(`/v1/adapters/${adp}/versions`, {
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
      metricPoints: { create: { tenantId: tenant.id, name: 'loss', step: 1, value: 0.5 } },
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
  return { ...tenant, owned: { ten: tenant.id, key, dst, adp, adv, job } };
}
