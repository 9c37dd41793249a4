import { objectionToGradients, objectionToLosses } from '../../../core/adaptation/setup/job-precision.ts';
import { measure } from '../../../core/data/evaluation/measure.ts';
import { loadTaskData } from '../../../core/data/task-data.ts';
import type { LoadedBase } from '../../../core/engine/base-cache.ts';
import { loadAdapter } from '../../../core/formats/peft/peft-adapter.ts';
import { createAdapter } from '../../../core/models/lora/lora-init.ts';
import { accumulateGradients } from '../../../core/training/gradients.ts';
import type { CellItem } from '../plan/items.ts';
import { tenantKey } from '../plan/tenant-spec.ts';
import { parentOf } from './job-spec.ts';
import type { Laboratory } from './laboratory.ts';
import type { Tenant, TenantData } from './tenant.ts';
import { WarmBases } from './warm-bases.ts';

/** Number of rows that a warm-up evaluates, and of rows in the gradient that it computes. */
const WARM_UP_ROWS = 16;

const warm = new WarmBases();

interface Prepared {
  readonly tenant: Tenant;
  readonly data: TenantData;
}

/**
 * Loads the bases of a job and compiles their programs, once for each loaded base, task and adapter recipe, and compares int8 with float32
 * on the job's rows. The service's training process is warm in the same way, and so no strategy pays for being the first.
 * @returns the milliseconds that it took
 */
export async function warmUp(laboratory: Laboratory, item: CellItem, prepared: Prepared): Promise<number> {
  const begun = performance.now();
  const parent = parentOf(laboratory, item);
  await compilePasses(await laboratory.oldBase, item, prepared);
  if (parent !== null) await compilePasses(await laboratory.newBase(parent.evolution), item, prepared);
  const newBase = await laboratory.newBase(item.evolution);
  await compilePasses(newBase, item, prepared);
  await compileGradients(newBase, item, prepared);
  await comparePrecisions(laboratory, newBase, prepared);
  return performance.now() - begun;
}

/** A base is used as soon as it is loaded, because the next one may take its place in memory. */
async function compilePasses(
  base: LoadedBase,
  { tenant: { task, recipe } }: CellItem,
  { tenant, data }: Prepared,
): Promise<void> {
  if (!warm.isCold(base, `passes ${task.name} ${recipe.name}`)) return;
  const adapter = await loadAdapter(tenant.adapter, base.model.config);
  const rows = data.test.slice(0, WARM_UP_ROWS);
  for (const metric of [task.metric, 'loss'] as const)
    await measure(base, adapter, rows, { metric, choices: data.choices });
}

async function compileGradients(
  base: LoadedBase,
  { tenant: { task, recipe } }: CellItem,
  { tenant, data }: Prepared,
): Promise<void> {
  if (!warm.isCold(base, `gradients ${task.name} ${recipe.name}`)) return;
  const adapter = await loadAdapter(tenant.adapter, base.model.config);
  await accumulateGradients(base.runtime, adapter, data.train.slice(0, WARM_UP_ROWS));
}

/** Compares int8 with float32 on the tenant's search rows, as its first job would, which then finds the results. */
async function comparePrecisions(laboratory: Laboratory, base: LoadedBase, { tenant }: Prepared): Promise<void> {
  if (base.precision.precision !== 'int8' || !warm.isCold(base, `precision ${tenantKey(tenant.spec)}`)) return;
  const { config, weights } = base.model;
  const { append_eos: appendEos } = tenant.spec.task;
  const files = { train: tenant.train, validation: tenant.validation };
  const { search: rows } = await loadTaskData(files, { tokenizer: base.tokenizer, config, appendEos });
  const carried = await loadAdapter(tenant.adapter, config);
  const fresh = createAdapter({ ...carried.config, base: config, weights, seed: tenant.spec.seed });
  const { bases } = laboratory.options;
  await objectionToLosses({ bases, base, adapter: carried, rows });
  await objectionToGradients({ bases, base, adapter: carried, rows }, 'carried');
  await objectionToGradients({ bases, base, adapter: fresh, rows }, 'fresh');
}
