import { toTimestamp } from '../../lib/schemas.ts';
import type { CountRow, RolloutRow, SummaryRow } from './rollout.repository.ts';
import type { Rollout, RolloutOptions } from './rollout.schemas.ts';

/** A rollout as the API shows it; counts and summary are already confined to what the caller may see. */
export function toRollout(row: RolloutRow, counts: readonly CountRow[], summary: SummaryRow | undefined): Rollout {
  const jobs = byState(counts, 'adaptation');
  const controls = byState(counts, 'control');
  return {
    id: row.id,
    base_version_id: row.baseVersionId,
    base_model: row.baseVersion.baseModel.name,
    version: row.baseVersion.version,
    state: row.state,
    options: row.options as RolloutOptions,
    error: row.error as Rollout['error'],
    jobs,
    controls,
    summary: {
      adapters: total(jobs),
      ready: jobs.ready ?? 0,
      not_ready: jobs.not_ready ?? 0,
      failed: jobs.failed ?? 0,
      cancelled: jobs.cancelled ?? 0,
      median_ttr_ms: summary?.median_ttr_ms ?? null,
      makespan_ms: summary?.makespan_ms ?? null,
      controls: total(controls),
      median_speedup: summary?.median_speedup ?? null,
    },
    accepted_at: toTimestamp(row.acceptedAt),
    planned_at: toTimestamp(row.plannedAt),
    finished_at: toTimestamp(row.finishedAt),
    updated_at: toTimestamp(row.updatedAt),
  };
}

function byState(counts: readonly CountRow[], kind: CountRow['kind']): Record<string, number> {
  return Object.fromEntries(counts.filter((row) => row.kind === kind).map((row) => [row.state, row.count]));
}

function total(counts: Record<string, number>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
