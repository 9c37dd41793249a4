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

/** The tenant in the keys of items. */
export function tenantName({ task, recipe, seed }: TenantSpec): string {
  return `${task.name} ${recipe.name} seed-${seed}`;
}

/** What decides a tenant's rows and its old adapter. */
export function tenantFacts({ base, task, recipe, seed, validationRows, testRows }: TenantSpec) {
  const { tasks: _, ...made } = recipe;
  return { base, task, recipe: made, seed, validationRows, testRows };
}
