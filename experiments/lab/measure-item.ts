import { evolve, readEvolution } from '../../core/adaptation/evolutions.ts';
import { loadAdapter } from '../../core/formats/peft/peft-adapter.ts';
import { driftGrid } from '../../core/method/evolution/drift.ts';
import { nameOf, type EvolutionItem, type Item, type ReferenceItem, type TenantItem } from '../plan.ts';
import type { EvolutionRecord, Measured, ReferenceRecord, TenantRecord } from '../records.ts';
import { measureCell } from './cell.ts';
import type { Laboratory } from './laboratory.ts';
import { measureSurface } from './surface.ts';
import { scoreOnTest } from './test-score.ts';

/** Measures one item with the product's own code. @returns its record, without key and times */
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

/** Computes what changed between the old base and the new one. */
async function measureEvolution(
  laboratory: Laboratory,
  { evolution }: EvolutionItem,
): Promise<Measured<EvolutionRecord>> {
  const { base, signal } = laboratory.options;
  const outDir = laboratory.evolutionFolder(evolution);
  const { drift, computeMs, summary } = await evolve({ oldBase: base, newBase: evolution.base, outDir }, { signal });
  const drifts = driftGrid(await readEvolution(outDir));
  return { type: 'evolution', evolution: evolution.name, drift, computeMs, drifts, summary };
}

/** Measures the old adapter on the old base. */
async function measureTenant(laboratory: Laboratory, { tenant: spec }: TenantItem): Promise<Measured<TenantRecord>> {
  const { signal } = laboratory.options;
  const tenant = await laboratory.tenant(spec);
  const base = await laboratory.oldBase;
  const adapter = await loadAdapter(tenant.adapter, base.model.config);
  const data = await laboratory.data(tenant);
  const old = await scoreOnTest(base, adapter, data, { metric: spec.task.metric, signal });
  return { type: 'tenant', ...nameOf(spec), old };
}

/** Measures the new base without an adapter and with the unchanged old adapter. */
async function measureReference(
  laboratory: Laboratory,
  { tenant: spec, evolution }: ReferenceItem,
): Promise<Measured<ReferenceRecord>> {
  const { signal } = laboratory.options;
  const tenant = await laboratory.tenant(spec);
  const base = await laboratory.newBase(evolution);
  const data = await laboratory.data(tenant);
  const options = { metric: spec.task.metric, signal };
  const none = await scoreOnTest(base, null, data, options);
  const copy = await scoreOnTest(base, await loadAdapter(tenant.adapter, base.model.config), data, options);
  return { type: 'reference', ...nameOf(spec), evolution: evolution.name, none, copy };
}
