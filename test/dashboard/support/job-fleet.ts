import { readFile } from 'node:fs/promises';
import { vi } from 'vitest';
import { familyPath } from '../../../cli/demo/fleet.ts';
import {
  createAdapter,
  createApiKey,
  createBaseModel,
  createBaseModelVersion,
  createClient,
  createTenant,
  listJobs,
  type Job,
  type ReadaptClient,
} from '../../../openapi/clients/typescript/src/index.ts';
import { PATIENCE_MS } from '../../patience.ts';
import type { DemoService } from './demo-service.ts';

/** Small fleet of one tenant in a rollout, separate from the demo's. */
export interface JobFleet {
  readonly operator: ReadaptClient;
  /** API key of the fleet's tenant with `tenant:write`. */
  readonly tenantKey: string;
  /** Job that is held until its tenant approves it, and whose gate no candidate can reach. */
  readonly unreachable: Job;
  /** Job that fails, because its search rows equal its gate rows. */
  readonly broken: Job;
}

/**
 * Registers the fleet and starts its rollout. Its versions have unique names, because other suites look for those of
 * the demo.
 * @param name of the base model and of the tenant, which no other suite uses
 */
export async function startJobFleet({ url, operatorKey }: DemoService, name: string): Promise<JobFleet> {
  const operator = createClient({ baseUrl: url, apiKey: operatorKey });
  const { id: tenantId } = await createTenant({ client: operator, body: { name } });
  const { key } = await createApiKey({
    client: operator,
    body: { name, tenant_id: tenantId, scopes: ['tenant:write'] },
  });
  await createBaseModel({ client: operator, body: { name } });
  const path = { model: name };
  await createBaseModelVersion({ client: operator, path, body: { version: 'before', path: familyPath('v1') } });
  const register = registerOf({ url, key: key!, baseModel: name });
  await register('unreachable', { approval: 'tenant', searchRows: 'validation.jsonl' });
  await register('broken', { approval: 'none', searchRows: 'test.jsonl' });
  const { rollout } = await createBaseModelVersion({
    client: operator,
    path,
    body: { version: 'after', path: familyPath('v2'), rollout: { strategy: 'reuse', seed: 1 } },
  });
  return { operator, tenantKey: key!, ...(await jobsOf(operator, rollout!.id)) };
}

interface Registered {
  readonly approval: 'none' | 'tenant';
  /** File with the search rows; the gate rows come from `test.jsonl`. */
  readonly searchRows: string;
}

/** Number of rows, small so that evaluations are fast. */
const ROWS = 24;

function registerOf({ url, key, baseModel }: { url: string; key: string; baseModel: string }) {
  const client = createClient({ baseUrl: url, apiKey: key });
  return async (name: string, { approval, searchRows }: Registered): Promise<void> => {
    const rows = [
      ...(await rowsOf('train.jsonl', 'training')),
      ...(await rowsOf(searchRows, 'search')),
      ...(await rowsOf('test.jsonl', 'gate')),
    ];
    const answer = await fetch(`${url}/v1/datasets?name=${name}-rows`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/x-ndjson' },
      body: `${rows.join('\n')}\n`,
    });
    const dataset = (await answer.json()) as { id: string };
    await createAdapter({
      client,
      body: {
        name,
        base_model: baseModel,
        dataset_id: dataset.id,
        metric: 'accuracy',
        gate: { kind: 'absolute', target: 1 },
        approval,
        source: { base_model_version: 'before', path: familyPath('adapters', 'agnews') },
      },
    });
  };
}

async function rowsOf(file: string, split: string): Promise<string[]> {
  const text = await readFile(familyPath('data', 'agnews', file), 'utf8');
  const lines = text.split('\n').slice(0, ROWS);
  return lines.map((line) => JSON.stringify({ ...(JSON.parse(line) as object), split }));
}

/** Waits until the rollout is planned. @returns its two jobs */
async function jobsOf(client: ReadaptClient, rolloutId: string): Promise<Pick<JobFleet, 'unreachable' | 'broken'>> {
  const jobs = await vi.waitUntil(
    async () => {
      const { data } = await listJobs({ client, query: { rollout_id: rolloutId } });
      return data.length === 2 && data;
    },
    { timeout: PATIENCE_MS, interval: 200 },
  );
  const named = (name: string) => jobs.find(({ adapter_name: adapter }) => adapter === name)!;
  return { unreachable: named('unreachable'), broken: named('broken') };
}
