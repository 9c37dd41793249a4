import { readFile } from 'node:fs/promises';
import { inject } from 'vitest';
import { familyPath } from '../../../cli/demo/fleet.ts';
import {
  createAdapter,
  createApiKey,
  createBaseModel,
  createBaseModelVersion,
  createClient,
  createDataset,
  createTenant,
  listBaseModels,
} from '../../../openapi/clients/typescript/src/index.ts';

/** Target losses: one that every demo adapter reaches, and one that none can. */
const TARGETS = { reachable: 100, unreachable: 0.0001 } as const;
/** Numbers of rows, small enough for a job to take a second or two. */
const ROWS = { training: 30, search: 20, gate: 30 } as const;
const FILES = { training: 'train.jsonl', search: 'validation.jsonl', gate: 'test.jsonl' } as const;

interface SmallAdapter {
  readonly name: string;
  readonly target: keyof typeof TARGETS;
  readonly labels: Record<string, string>;
}

export interface SmallFleet {
  /** Name of the base model. */
  readonly baseModel: string;
  readonly tenantKey: string;
}

/**
 * Registers a base model with a tenant and adapters, so that a suite changes nothing that others look at. Its versions
 * are named `first` and `second` to differ from the demo's.
 */
export async function createSmallFleet(name: string, adapters: readonly SmallAdapter[]): Promise<SmallFleet> {
  const client = operatorClient();
  // A kept service has base models of earlier runs too.
  const { data } = await listBaseModels({ client, query: { limit: 200 } });
  const baseModel = `${name}-${data.length}`;
  await createBaseModel({ client, body: { name: baseModel } });
  await createBaseModelVersion({
    client,
    path: { model: baseModel },
    body: { version: 'first', path: familyPath('v1'), rollout: false },
  });
  const tenant = await createTenant({ client, body: { name: baseModel } });
  const { key } = await createApiKey({
    client,
    body: { name: 'suite', tenant_id: tenant.id, scopes: ['tenant:admin', 'tenant:write', 'tenant:read'] },
  });
  const owner = createClient({ baseUrl: inject('demo').url, apiKey: key! });
  const rows = new Blob([await fewRows()]);
  const { id: datasetId } = await createDataset({ client: owner, query: { name: 'plurals' }, body: rows });
  for (const { name: adapter, target, labels } of adapters) {
    await createAdapter({
      client,
      body: {
        name: adapter,
        tenant_id: tenant.id,
        base_model: baseModel,
        dataset_id: datasetId,
        metric: 'loss',
        gate: { kind: 'absolute', target: TARGETS[target] },
        labels,
        source: { base_model_version: 'first', path: familyPath('adapters', 'plural') },
      },
    });
  }
  return { baseModel, tenantKey: key! };
}

export function operatorClient() {
  const { url, operatorKey } = inject('demo');
  return createClient({ baseUrl: url, apiKey: operatorKey });
}

async function fewRows(): Promise<string> {
  const parts = await Promise.all(
    (['training', 'search', 'gate'] as const).map(async (split) => {
      const text = await readFile(familyPath('data', 'plural', FILES[split]), 'utf8');
      const rows = text.split('\n').slice(0, ROWS[split]);
      return rows.map((row) => JSON.stringify({ ...(JSON.parse(row) as object), split }));
    }),
  );
  return `${parts.flat().join('\n')}\n`;
}
