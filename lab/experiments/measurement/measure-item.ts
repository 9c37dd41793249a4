import { UsageError } from '../../../cli/process/errors.ts';
import { evolve, readEvolution } from '../../../core/adaptation/evolutions.ts';
import { answerOf } from '../../../core/data/evaluation/generated-answers.ts';
import type { LoadedBase } from '../../../core/engine/base-cache.ts';
import { loadAdapter } from '../../../core/formats/peft/peft-adapter.ts';
import { driftGrid } from '../../../core/method/evolution/drift.ts';
import type { EvolutionItem, Item, Origin, ReferenceItem, TenantItem } from '../plan/items.ts';
import { nameOf } from '../plan/tenant-spec.ts';
import type {
  DirectEvolution,
  EvolutionRecord,
  FailedTenantRecord,
  Measured,
  ReferenceRecord,
  TenantRecord,
} from '../records.ts';
import { isMachineFault } from '../run/machine-fault.ts';
import { measureCell } from './cell.ts';
import type { Laboratory } from './laboratory.ts';
import { measureSurface } from './surface.ts';
import { scoreOnTest } from './test-score.ts';

/** Measures one item with the product's own code. @returns the record without key and times */
export function measureItem(laboratory: Laboratory, item: Item): Promise<Measured> {
  switch (item.type) {
    case 'evolution':
      return measureEvolution(laboratory, item);
    case 'tenant':
      return measureTenant(laboratory, item);
    case 'reference':
      return measureReference(laboratory, item);
    case 'cell':
      return measureCell(laboratory, item);
    case 'surface':
      return measureSurface(laboratory, item);
  }
}

/** Computes the difference of the previous base and the new one, and in a chain also those of earlier bases. */
async function measureEvolution(
  laboratory: Laboratory,
  { evolution, origins: [before, ...further], tenant }: EvolutionItem,
): Promise<Measured<EvolutionRecord>> {
  const compute = async ({ name: from, base: oldBase }: Origin) => {
    const outDir = laboratory.evolutionFolder(evolution, from);
    const spec = { oldBase, newBase: evolution.base, outDir };
    return { from, ...(await evolve(spec, { signal: laboratory.options.signal })) };
  };
  const { from, dir, drift, computeMs, summary } = await compute(before);
  const direct: DirectEvolution[] = [];
  for (const origin of further) {
    const { from, drift, computeMs } = await compute(origin);
    direct.push({ from, drift, computeMs });
  }
  const drifts = driftGrid(await readEvolution(dir));
  const measured = { from, drift, computeMs, drifts, summary, ...(tenant && nameOf(tenant)) };
  return { type: 'evolution', evolution: evolution.name, ...measured, ...(direct.length > 0 && { direct }) };
}

/**
 * Measures the old adapter on the old base.
 * @returns its record, also for a tenant whose adapter cannot be trained
 * @throws Error if the base, the experiment's file or the machine is at fault
 */
async function measureTenant(
  laboratory: Laboratory,
  item: TenantItem,
): Promise<Measured<TenantRecord | FailedTenantRecord>> {
  const base = await laboratory.oldBase;
  try {
    return await measureOld(laboratory, item, base);
  } catch (error) {
    laboratory.options.signal.throwIfAborted();
    if (error instanceof UsageError || isMachineFault(error)) throw error;
    return { type: 'failed_tenant', ...nameOf(item.tenant), error: String(error) };
  }
}

async function measureOld(
  laboratory: Laboratory,
  { tenant: spec }: TenantItem,
  base: LoadedBase,
): Promise<Measured<TenantRecord>> {
  const { signal } = laboratory.options;
  const tenant = await laboratory.tenant(spec);
  const adapter = await loadAdapter(tenant.adapter, base.model.config);
  const data = await laboratory.data(tenant);
  const old = await scoreOnTest(base, adapter, data, { metric: spec.task.metric, signal });
  return { type: 'tenant', ...nameOf(spec), old };
}

/**
 * Measures the new base without an adapter and with the unchanged old adapter. Without an adapter, a generated answer
 * may be as long as the longest right one.
 */
async function measureReference(
  laboratory: Laboratory,
  { tenant: spec, evolution }: ReferenceItem,
): Promise<Measured<ReferenceRecord>> {
  const { signal } = laboratory.options;
  const tenant = await laboratory.tenant(spec);
  const base = await laboratory.newBase(evolution);
  const data = await laboratory.data(tenant);
  const options = { metric: spec.task.metric, signal };
  // Without an adapter, hardly any answer ends by itself.
  const maxNewTokens = Math.max(...data.test.map((example) => answerOf(example).labelIds.length));
  const none = await scoreOnTest(base, null, data, { ...options, maxNewTokens });
  const copy = await scoreOnTest(base, await loadAdapter(tenant.adapter, base.model.config), data, options);
  return { type: 'reference', ...nameOf(spec), evolution: evolution.name, none, copy };
}
