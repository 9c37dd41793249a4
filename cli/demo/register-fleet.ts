import { readFile } from 'node:fs/promises';
import { createApiClient, type ApiClient } from './api-client.ts';
import { familyPath, type DemoAdapter } from './fleet.ts';

interface Created {
  readonly id: string;
}

interface BaseModelVersion extends Created {
  readonly version: string;
}

export interface RegisteredFleet {
  readonly operator: ApiClient;
  readonly baseModelId: string;
  readonly firstVersion: BaseModelVersion;
  /** The demo's adapters by their identifiers. */
  readonly adapters: ReadonlyMap<string, DemoAdapter>;
  readonly tenantKeys: ReadonlyMap<string, string>;
}

export interface RegisterOptions {
  /** The API's origin, `http://host:port`. */
  readonly origin: string;
  readonly operatorKey: string;
  readonly fleet: readonly DemoAdapter[];
  /** Name of the base model (default `demo-llama`). */
  readonly baseModel?: string;
  log(line: string): void;
}

/**
 * Registers version 1 of the base model, the tenants with their keys, datasets and adapters, through the public API.
 */
export async function registerFleet(options: RegisterOptions): Promise<RegisteredFleet> {
  const { origin, operatorKey, fleet, baseModel: name = 'demo-llama', log } = options;
  const operator = createApiClient(origin, operatorKey);
  const baseModel = await operator.post<Created>('/v1/base-models', { name });
  const first = await operator.post<{ base_model_version: BaseModelVersion }>(
    `/v1/base-models/${baseModel.id}/versions`,
    {
      version: '1',
      path: familyPath('v1'),
    },
  );
  log(`base model ${name}, version 1: ${familyPath('v1')}`);

  const tenantKeys = new Map<string, string>();
  for (const tenantName of new Set(fleet.map((adapter) => adapter.tenant))) {
    const tenant = await operator.post<Created>('/v1/tenants', { name: tenantName });
    const key = await operator.post<{ key: string }>('/v1/api-keys', {
      name: 'demo',
      tenant_id: tenant.id,
      scopes: ['tenant:admin', 'tenant:write', 'tenant:read'],
    });
    tenantKeys.set(tenantName, key.key);
  }

  const adapters = new Map<string, DemoAdapter>();
  for (const entry of fleet) {
    const client = createApiClient(origin, tenantKeys.get(entry.tenant)!);
    const created = await registerAdapter(client, entry, { baseModel: name, version: first.base_model_version.id });
    adapters.set(created.id, entry);
    log(`${entry.tenant}: adapter ${entry.adapter} (${entry.task}, ${entry.trainRows} training rows)`);
  }
  return { operator, baseModelId: baseModel.id, firstVersion: first.base_model_version, adapters, tenantKeys };
}

async function registerAdapter(
  client: ApiClient,
  entry: DemoAdapter,
  base: { readonly baseModel: string; readonly version: string },
): Promise<Created> {
  const dataset = await client.upload<Created>(
    `/v1/datasets?name=${encodeURIComponent(`${entry.adapter}-rows`)}`,
    await datasetOf(entry),
    'application/x-ndjson',
  );
  return client.post<Created>('/v1/adapters', {
    name: entry.adapter,
    base_model: base.baseModel,
    dataset_id: dataset.id,
    metric: entry.metric,
    gate: entry.gate,
    source: { base_model_version: base.version, path: familyPath('adapters', entry.folder) },
  });
}

/** The task's file of each split. */
const SPLIT_FILES = { training: 'train.jsonl', search: 'validation.jsonl', gate: 'test.jsonl' } as const;

/** Joins the task's three files into one JSONL body in which every row names its split. */
async function datasetOf(entry: DemoAdapter): Promise<Buffer> {
  const lines: string[] = [];
  for (const [split, file] of Object.entries(SPLIT_FILES)) {
    const text = await readFile(familyPath('data', entry.task, file), 'utf8');
    const rows = text.split('\n').filter((line) => line !== '');
    for (const row of split === 'training' ? rows.slice(0, entry.trainRows) : rows) {
      const parsed = JSON.parse(row) as { completion?: string };
      const slices = entry.sliced && parsed.completion !== undefined ? { slices: [parsed.completion.trim()] } : {};
      lines.push(JSON.stringify({ ...parsed, split, ...slices }));
    }
  }
  return Buffer.from(`${lines.join('\n')}\n`);
}
