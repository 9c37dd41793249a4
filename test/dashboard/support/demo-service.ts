import { FAMILY, familyPath, FLEET } from '../../../cli/demo/fleet.ts';
import { registerFleet } from '../../../cli/demo/register-fleet.ts';
import { startLocalStack } from '../../../cli/stack/local-stack.ts';
import {
  createApiKey,
  createBaseModelVersion,
  createClient,
  listJobs,
  waitForRollout,
} from '../../../openapi/clients/typescript/src/index.ts';
import { loadConfig } from '../../../src/platform/config/config.ts';

/** Service whose fleet was carried over to version 2, with keys and identifiers for tests. */
export interface DemoService {
  readonly url: string;
  readonly operatorKey: string;
  /** API key with `operator:read`. */
  readonly readerKey: string;
  /** API keys with `tenant:admin` by tenant name: acme, globex and initech. */
  readonly tenantKeys: Readonly<Record<string, string>>;
  readonly baseModelId: string;
  readonly versionIds: { readonly first: string; readonly second: string };
  /** Identifier of the ended rollout to version 2. */
  readonly rolloutId: string;
  /** Adaptations and controls of the rollout. */
  readonly jobs: readonly DemoJob[];
  /** Identifiers of the adapters by name, such as `review-sentiment`. */
  readonly adapterIds: Readonly<Record<string, string>>;
}

interface DemoJob {
  readonly id: string;
  readonly adapterName: string;
  readonly kind: string;
  readonly state: string;
}

/**
 * Starts the service with a worker on a new data folder and rolls version 2 out. Takes most of a minute on two cores.
 */
export async function startDemoService(dataDir: string): Promise<{ demo: DemoService; stop: () => Promise<void> }> {
  const stack = await startLocalStack(
    loadConfig({
      READAPT_DATA_DIR: dataDir,
      READAPT_PORT: '0',
      READAPT_ALLOWED_ROOTS: FAMILY,
      READAPT_LOG_LEVEL: 'error',
    }),
    { worker: true },
  );
  try {
    return { demo: await rollOutVersionTwo(stack.url, stack.operatorKey!), stop: () => stack.stop() };
  } catch (error) {
    await stack.stop();
    throw error;
  }
}

async function rollOutVersionTwo(url: string, operatorKey: string): Promise<DemoService> {
  const fleet = await registerFleet({ origin: url, operatorKey, fleet: FLEET, log: () => undefined });
  const client = createClient({ baseUrl: url, apiKey: operatorKey });
  const reader = await createApiKey({ client, body: { name: 'wall', scopes: ['operator:read'] } });
  const accepted = await createBaseModelVersion({
    client,
    path: { model: fleet.baseModelId },
    body: {
      version: '2',
      path: familyPath('v2'),
      rollout: { control: 'sample', control_fraction: 0.2, seed: 1 },
    },
  });
  const { id: rolloutId } = await waitForRollout({ client, id: accepted.rollout!.id });
  const { data: jobs } = await listJobs({ client, query: { rollout_id: rolloutId, limit: 200 } });
  return {
    url,
    operatorKey,
    readerKey: reader.key!,
    tenantKeys: Object.fromEntries(fleet.tenantKeys),
    baseModelId: fleet.baseModelId,
    versionIds: { first: fleet.firstVersion.id, second: accepted.base_model_version.id },
    rolloutId,
    jobs: jobs.map(({ id, adapter_name: adapterName, kind, state }) => ({ id, adapterName, kind, state })),
    adapterIds: Object.fromEntries([...fleet.adapters].map(([id, { adapter }]) => [adapter, id])),
  };
}
