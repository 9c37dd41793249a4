import type { AdapterRecipe, TaskConfig } from '../config/experiment.schema.ts';
import type { TenantName } from '../records.ts';
import { folderName, keyOf } from './keys.ts';

/** One tenant: the rows of a task, and how its adapter for the old base is trained. */
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

/** A key that is also the name of the tenant's folder. */
export function tenantKey(tenant: TenantSpec): string {
  return folderName(keyOf(tenantName(tenant), tenantFacts(tenant)));
}

/**
 * The tenant in the keys of items, where a space stands before it and behind it: with these, it is found in no key of another tenant
 * (`seed-1` also begins `seed-10`).
 */
export function tenantName(tenant: TenantSpec): string {
  return writtenName(nameOf(tenant));
}

export function writtenName({ task, adapter, seed }: TenantName): string {
  return `${task} ${adapter} seed-${seed}`;
}

/** Whether what was made for one tenant, or without a name for all of them, is this tenant's. */
export function isFor(owner: Partial<TenantName> | undefined, { task, adapter, seed }: TenantName): boolean {
  return owner?.seed === undefined || (owner.task === task && owner.adapter === adapter && owner.seed === seed);
}

/** What decides a tenant's rows and its old adapter. */
export function tenantFacts({ base, task, recipe, seed, validationRows, testRows }: TenantSpec) {
  const { tasks: _, ...made } = recipe;
  return { base, task, recipe: made, seed, validationRows, testRows };
}
