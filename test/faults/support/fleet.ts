import {
  createAdapter,
  createBaseModel,
  createBaseModelVersion,
  createDataset,
  createTenant,
} from '../../../openapi/clients/typescript/src/index.ts';
import { retryingClient } from '../../../cli/demo/register-fleet.ts';
import { tasteDataset, toJsonl } from '../../unit/training/support/tiny-task.ts';
import type { FaultStack } from './stack.ts';

/** Adapters of a round, each with a different end. */
const ADAPTERS = [
  // Tries every rung and ends as not ready.
  { name: 'never-ready', tenant: 'one', metric: 'loss', gate: { kind: 'absolute', target: 0 } },
  // Needs training, then is published.
  { name: 'trained', tenant: 'two', metric: 'loss', gate: { kind: 'absolute', target: 1.2 } },
  { name: 'never-ready-either', tenant: 'two', metric: 'loss', gate: { kind: 'absolute', target: 0 } },
  // Needs the old adapter's value on the old base.
  {
    name: 'relative',
    tenant: 'two',
    metric: 'loss',
    gate: { kind: 'relative', margin: 0.01, on_inconclusive: 'publish' },
  },
  // Is published immediately, then refined.
  { name: 'refined', tenant: 'one', metric: 'loss', gate: { kind: 'absolute', target: 50 } },
] as const;

/** Name of an adapter of a round. */
type AdapterName = (typeof ADAPTERS)[number]['name'];

/** Adapters for a rollout that is about its processes: one trains in vain, and one is refined. */
export const FEW_ADAPTERS: readonly AdapterName[] = ['never-ready', 'refined'];

/** The options of all rollouts of the campaign. */
export const OPTIONS = {
  strategy: 'auto',
  max_steps: 100,
  batch_size: 8,
  learning_rate: 5e-3,
  evaluate_every: 10,
  refine_steps: 30,
  search_evaluations: 6,
  seed: 4,
} as const;

/** Options of the rollouts of some adapters only. */
const FEW_OPTIONS = { ...OPTIONS, max_steps: 60, refine_steps: 20, search_evaluations: 4 } as const;

/** Places of the files of both versions. */
type BasePlaces = readonly [BasePlace, BasePlace];
type BasePlace = { readonly path: string } | { readonly source: string };

interface RoundOptions {
  /** Names of the adapters; default: all of them. */
  readonly names?: readonly AdapterName[];
  /** Largest number of optimizer steps for an adapter, in place of the usual one. */
  readonly maxSteps?: number | undefined;
}

/**
 * Registers a base model, tenants and adapters of a round's own, and starts a rollout to version 2.
 * @returns its identifier
 */
export async function startRollout(
  { origin, operatorKey, family }: Pick<FaultStack, 'origin' | 'operatorKey' | 'family'>,
  round: string,
  bases: BasePlaces = [{ path: family.oldBase }, { path: family.newBase }],
  { names = ADAPTERS.map(({ name }) => name), maxSteps }: RoundOptions = {},
): Promise<string> {
  const adapters = ADAPTERS.filter(({ name }) => names.includes(name));
  const client = retryingClient(origin, operatorKey);
  const { id: model } = await createBaseModel({ client, body: { name: `model-${round}` } });
  const path = { model };
  const first = await createBaseModelVersion({ client, path, body: { version: '1', ...bases[0] } });
  const tenants = new Map<string, string>();
  for (const name of new Set(adapters.map(({ tenant }) => tenant))) {
    tenants.set(name, (await createTenant({ client, body: { name: `${name}-${round}` } })).id);
  }
  for (const { name, tenant, metric, gate } of adapters) {
    const tenantId = tenants.get(tenant)!;
    const query = { name: `${name}-rows`, tenant_id: tenantId };
    const dataset = await createDataset({ client, query, body: new Blob([toJsonl(tasteDataset())]) });
    const source = { base_model_version: first.base_model_version.id, path: family.adapter };
    const body = { tenant_id: tenantId, name, base_model: model, dataset_id: dataset.id, metric, gate, source };
    await createAdapter({ client, body });
  }
  const options = names.length < ADAPTERS.length ? FEW_OPTIONS : OPTIONS;
  const second = { version: '2', ...bases[1], rollout: { ...options, max_steps: maxSteps ?? options.max_steps } };
  return (await createBaseModelVersion({ client, path, body: second })).rollout!.id;
}
