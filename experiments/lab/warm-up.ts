import { measure } from '../../core/data/evaluation/measure.ts';
import { loadAdapter } from '../../core/formats/peft/peft-adapter.ts';
import { accumulateGradients } from '../../core/training/gradients.ts';
import type { CellItem } from '../plan/items.ts';
import type { Laboratory } from './laboratory.ts';
import type { Tenant, TenantData } from './tenant.ts';

/** Number of rows that a warm-up evaluates, and of rows in the gradient that it computes. */
const WARM_UP_ROWS = 16;

/**
 * Loads both bases and compiles their programs, once in a process for each task, adapter recipe and evolution. The
 * service's training process is warm in the same way, and so no strategy pays for being the first.
 * @returns the milliseconds that it took
 */
export async function warmUp(
  laboratory: Laboratory,
  { tenant: { task, recipe }, evolution }: CellItem,
  { tenant, data }: { readonly tenant: Tenant; readonly data: TenantData },
): Promise<number> {
  const begun = performance.now();
  const oldBase = await laboratory.oldBase;
  const newBase = await laboratory.newBase(evolution);
  if (laboratory.isCold(`${evolution.name} ${task.name} ${recipe.name}`)) {
    const adapter = await loadAdapter(tenant.adapter, newBase.model.config);
    const rows = data.test.slice(0, WARM_UP_ROWS);
    for (const base of [oldBase, newBase]) {
      for (const metric of [task.metric, 'loss'] as const)
        await measure(base, adapter, rows, { metric, choices: data.choices });
    }
    await accumulateGradients(newBase.runtime, adapter, data.train.slice(0, WARM_UP_ROWS));
  }
  return performance.now() - begun;
}
