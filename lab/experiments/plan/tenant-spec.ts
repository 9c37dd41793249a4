import type { AdapterRecipe, TaskConfig } from '../config/experiment.schema.ts';
import type { TenantName } from '../records.ts';
import { folderName, keyOf } from './keys.ts';

/** Tenant: the task with its rows, and the recipe and seed of its adapter for the old base. */
export interface TenantSpec {
  readonly base: string;
  readonly task: TaskConfig;
  readonly recipe: AdapterRecipe;
  readonly seed: number;
  readonly validationRows?: number;
  readonly testRows?: number;
}

export function nameOf({ task, recipe, seed }: TenantSpec): TenantName {
  return { task: task.name, adapter: recipe.name, seed };
}

/** Makes the key of a tenant, which is also the name of its folder. */
export function tenantKey(tenant: TenantSpec): string {
  return folderName(keyOf(tenantName(tenant), tenantFacts(tenant)));
}

/**
 * Writes the tenant as it stands in keys of items, between spaces. Search keys for it with the spaces, because `seed-1`
 * also begins `seed-10`.
 */
export function tenantName(tenant: TenantSpec): string {
  return writtenName(nameOf(tenant));
}

export function writtenName({ task, adapter, seed }: TenantName): string {
  return `${task} ${adapter} seed-${seed}`;
}

/** Whether something with this owner is for the tenant. An owner without a name stands for all tenants. */
export function isFor(owner: Partial<TenantName> | undefined, { task, adapter, seed }: TenantName): boolean {
  return owner?.seed === undefined || (owner.task === task && owner.adapter === adapter && owner.seed === seed);
}

/** Collects the facts that decide a tenant's rows and its old adapter. */
export function tenantFacts({ base, task, recipe, seed, validationRows, testRows }: TenantSpec) {
  const { tasks: _, ...made } = recipe;
  return { base, task, recipe: made, seed, validationRows, testRows };
}
