import {
  createAdapter,
  createBaseModel,
  createBaseModelVersion,
  createDataset,
  createRollout,
  createTenant,
  updateAdapter,
  waitForRollout,
} from '../../../openapi/clients/typescript/src/index.ts';
import { familyPath, FLEET } from '../../../cli/demo/fleet.ts';
import { retryingClient } from '../../../cli/demo/register-fleet.ts';
import type { DemoStack } from '../demo-stack.ts';

const BASE_MODEL = 'demo-llama';

/** Metric and gate of each adapter. The API requires them; nothing here is judged. */
const JUDGED = { metric: 'exact_match', gate: { kind: 'absolute', target: 1 } } as const;

interface MeasureOptions extends DemoStack {
  readonly adapters: number;
}

export interface MeasuredProvision {
  readonly provisional: 'revert' | 'reuse';
  /** Seconds from the end of the planning to the end of the rollout. */
  readonly seconds: number;
}

/**
 * Measures the time until each adapter has a provisional version: by `revert` for the second version of the demo's base
 * model, and by `reuse` for a third one. The datasets are taken away first, so that these rollouts do nothing else.
 */
export async function measureProvisional(options: MeasureOptions): Promise<MeasuredProvision[]> {
  const { origin, operatorKey, adapters, log } = options;
  const client = retryingClient(origin, operatorKey);
  await createBaseModel({ client, body: { name: BASE_MODEL } });
  const addVersion = async (version: string, folder: string) => {
    const body = { version, path: familyPath(folder), rollout: false } as const;
    return (await createBaseModelVersion({ client, path: { model: BASE_MODEL }, body })).base_model_version.id;
  };
  const first = await addVersion('1', 'v1');
  const { id: tenant } = await createTenant({ client, body: { name: 'acme' } });
  const rows = ['training', 'search', 'gate'].map((split) => JSON.stringify({ prompt: 'a', completion: 'b', split }));
  const dataset = await createDataset({
    client,
    query: { name: 'rows', tenant_id: tenant },
    body: new Blob([`${rows.join('\n')}\n`]),
  });
  log(`importing ${adapters} adapters …`);
  for (let number = 0; number < adapters; number++) {
    const { folder } = FLEET[number % FLEET.length]!;
    const source = { base_model_version: first, path: familyPath('adapters', folder) };
    const named = { name: `${folder}-${number}`, tenant_id: tenant, base_model: BASE_MODEL };
    const { id } = await createAdapter({ client, body: { ...named, ...JUDGED, dataset_id: dataset.id, source } });
    await updateAdapter({ client, path: { id }, body: { dataset_id: null } });
  }
  const measured: MeasuredProvision[] = [];
  for (const [provisional, version] of [
    ['revert', await addVersion('2', 'v2')],
    ['reuse', await addVersion('3', 'v2')],
  ] as const) {
    log(`${provisional} …`);
    const options = { policy: { provisional } };
    const { id } = await createRollout({ client, body: { base_model_version_id: version, options } });
    const { planned_at: planned, finished_at: finished } = await waitForRollout({ client, id });
    measured.push({ provisional, seconds: (Date.parse(finished!) - Date.parse(planned!)) / 1000 });
  }
  return measured;
}
