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

/** Number of rows of the evaluation and of the gradient in a warm-up. */
const WARM_UP_ROWS = 16;

const warm = new WarmBases();

interface Prepared {
  readonly tenant: Tenant;
  readonly data: TenantData;
}

/**
 * Loads the bases of a job, compiles their programs once for each loaded base, task and adapter recipe, and compares
 * int8 with float32 on the job's rows. So no strategy pays for being the first. The service's training process is as
 * warm.
 * @returns its duration in milliseconds
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

/** Evaluates a few rows. Call it right after loading the base, because loading the next one may release it. */
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

/** Compares int8 with float32 on the tenant's search rows. Its first job then finds the cached results. */
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
