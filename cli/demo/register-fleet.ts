import { readFile } from 'node:fs/promises';
import {
  createAdapter,
  createApiKey,
  createBaseModel,
  createBaseModelVersion,
  createClient,
  createDataset,
  createTenant,
  type BaseModelVersion,
  type ReadaptClient,
  type ServingProfile,
} from '../../openapi/clients/typescript/src/index.ts';
import { familyPath, type DemoAdapter } from './fleet.ts';

/** Longest time to retry requests while the service's database restarts, in milliseconds. */
const RETRY_MS = 90_000;

/** Creates a client for a service that may be interrupted. `origin` is `http://host:port`. */
export function retryingClient(origin: string, key: string): ReadaptClient {
  return createClient({ baseUrl: origin, apiKey: key, retries: { maxElapsedMs: RETRY_MS } });
}

export interface RegisteredFleet {
  readonly operator: ReadaptClient;
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
  /**
   * Name of version 1 in serving engines, and the profile of adapters that the engines accept. By default, version 1 is
   * called by the path of its files, and engines accept any adapter.
   */
  readonly serving?: { readonly name: string; readonly profile: ServingProfile };
  log(line: string): void;
  /** Signal that ends the registration between two adapters. The signal's reason is thrown. */
  readonly signal?: AbortSignal;
}

/**
 * Registers version 1 of the base model, the tenants with their keys, datasets and adapters, through the public API.
 */
export async function registerFleet(options: RegisterOptions): Promise<RegisteredFleet> {
  const { origin, operatorKey, fleet, baseModel: name = 'demo-llama', serving, log, signal } = options;
  const operator = retryingClient(origin, operatorKey);
  const baseModel = await createBaseModel({
    client: operator,
    body: { name, ...(serving && { serving_profile: serving.profile }) },
  });
  const first = await createBaseModelVersion({
    client: operator,
    path: { model: baseModel.id },
    body: { version: '1', path: familyPath('v1'), ...(serving && { serving_name: serving.name }) },
  });
  log(`base model ${name}, version 1: ${familyPath('v1')}`);

  const tenantKeys = new Map<string, string>();
  for (const tenantName of new Set(fleet.map((adapter) => adapter.tenant))) {
    const tenant = await createTenant({ client: operator, body: { name: tenantName } });
    const { key } = await createApiKey({
      client: operator,
      body: { name: 'demo', tenant_id: tenant.id, scopes: ['tenant:admin', 'tenant:write', 'tenant:read'] },
    });
    tenantKeys.set(tenantName, key!);
  }

  const adapters = new Map<string, DemoAdapter>();
  for (const entry of fleet) {
    signal?.throwIfAborted();
    const client = retryingClient(origin, tenantKeys.get(entry.tenant)!);
    const created = await registerAdapter(client, entry, { baseModel: name, version: first.base_model_version.id });
    adapters.set(created.id, entry);
    log(`${entry.tenant}: adapter ${entry.adapter} (${entry.task}, ${entry.trainRows} training rows)`);
  }
  return { operator, baseModelId: baseModel.id, firstVersion: first.base_model_version, adapters, tenantKeys };
}

async function registerAdapter(
  client: ReadaptClient,
  entry: DemoAdapter,
  base: { readonly baseModel: string; readonly version: string },
): Promise<{ readonly id: string }> {
  const name = `${entry.adapter}-rows`;
  const dataset = await createDataset({ client, query: { name }, body: new Blob([await datasetOf(entry)]) });
  return createAdapter({
    client,
    body: {
      name: entry.adapter,
      base_model: base.baseModel,
      dataset_id: dataset.id,
      metric: entry.metric,
      gate: entry.gate,
      source: { base_model_version: base.version, path: familyPath('adapters', entry.folder) },
    },
  });
}

/** File name of each split in the task's folder. */
const SPLIT_FILES = { training: 'train.jsonl', search: 'validation.jsonl', gate: 'test.jsonl' } as const;

/** Joins the task's three files into one JSONL body in which every row names its split. */
async function datasetOf(entry: DemoAdapter): Promise<string> {
  const lines: string[] = [];
  for (const [split, file] of Object.entries(SPLIT_FILES)) {
    const text = await readFile(familyPath('data', entry.task, file), 'utf8');
    const rows = text.split('\n').filter((line) => line !== '');
    for (const row of rows.slice(0, split === 'training' ? entry.trainRows : entry.heldOutRows)) {
      const parsed = JSON.parse(row) as { completion?: string };
      const slices = entry.sliced && parsed.completion !== undefined ? { slices: [parsed.completion.trim()] } : {};
      lines.push(JSON.stringify({ ...parsed, split, ...slices }));
    }
  }
  return `${lines.join('\n')}\n`;
}
