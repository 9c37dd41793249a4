import { measure, type MeasureOptions } from '../../../core/data/evaluation/measure.ts';
import type { Adapter } from '../../../core/models/lora/adapter.ts';
import { isGenerated, judgesRows, type MetricName } from '../../../core/options/metrics.ts';
import type { LoadedBase } from '../../../core/engine/base-cache.ts';
import type { RowScores, TestScore } from '../records.ts';
import type { TenantData } from './tenant.ts';

/** Measures an adapter, or a base without one, on the test rows. */
export async function scoreOnTest(
  base: LoadedBase,
  adapter: Adapter | null,
  { test, choices }: TenantData,
  { metric, ...options }: Pick<MeasureOptions, 'metric' | 'maxNewTokens' | 'signal'>,
): Promise<TestScore> {
  const { value, standardError, perExample } = await measure(base, adapter, test, { ...options, metric, choices });
  const { right, scores } = rowScores(metric, perExample);
  return { value, standardError, right, ...(isGenerated(metric) && scores && { scores }) };
}

/** Converts the outcomes of rows to the form in which results keep them. */
export function rowScores(metric: MetricName, outcomes: ArrayLike<number>): RowScores {
  if (judgesRows(metric)) return { right: Array.from(outcomes).join('') };
  return { right: null, scores: Array.from(outcomes, toFourPlaces) };
}

/** Rounds a score for the results, which people read, too. More places than four mean nothing for a single row. */
function toFourPlaces(value: number): number {
  return Math.round(value * 1e4) / 1e4;
}
