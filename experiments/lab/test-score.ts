import { measure } from '../../core/data/evaluation/measure.ts';
import type { Adapter } from '../../core/models/lora/adapter.ts';
import { judgesRows, type MetricName } from '../../core/options/metrics.ts';
import type { LoadedBase } from '../../core/engine/base-cache.ts';
import type { TestScore } from '../records.ts';
import type { TenantData } from './tenant.ts';

/** Measures an adapter, or a base without one, on the test rows. */
export async function scoreOnTest(
  base: LoadedBase,
  adapter: Adapter | null,
  { test, choices }: TenantData,
  { metric, signal }: { readonly metric: MetricName; readonly signal: AbortSignal },
): Promise<TestScore> {
  const { value, standardError, perExample } = await measure(base, adapter, test, { metric, choices, signal });
  return { value, standardError, right: judgesRows(metric) ? perExample.join('') : null };
}
