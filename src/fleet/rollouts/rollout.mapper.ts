import type { QueueEntry } from '../../platform/queue/catalog.ts';
import { toTimestamp } from '../../platform/contract/schemas.ts';
import { showError } from '../../platform/contract/shown-error.ts';
import { adviceOf, type RolloutEvolution } from '../evolutions/index.ts';
import { withoutAddress } from './policy.schemas.ts';
import type { CountRow, RolloutEvolutionRow, RolloutRow, SummaryRow } from './rollout.repository.ts';
import type { Rollout, RolloutOptions } from './rollout.schemas.ts';

/**
 * Rows of other tables that the answer about a rollout needs. The counts and the summary cover only jobs that the
 * caller may see.
 */
export interface RolloutParts {
  readonly counts: readonly CountRow[];
  readonly summary: SummaryRow | undefined;
  readonly evolutions: readonly RolloutEvolutionRow[];
}

/**
 * Builds the answer about a rollout.
 * @param scope the tenant to which the caller is confined, or null for the operator
 */
export function toRollout(
  row: RolloutRow,
  { counts, summary, evolutions }: RolloutParts,
  scope: string | null,
): Rollout {
  const jobs = byState(counts, 'adaptation');
  const controls = byState(counts, 'control');
  return {
    id: row.id,
    base_model_version_id: row.baseModelVersionId,
    base_model_name: row.baseModelVersion.baseModel.name,
    version: row.baseModelVersion.version,
    state: row.state,
    options: showOptions(row.options as RolloutOptions, scope),
    error: showError(row.error, scope),
    fetches: scope === null ? (row.fetches as Rollout['fetches']) : null,
    paused_at: toTimestamp(row.pausedAt),
    paused_reason: showReason(row.pausedReason as Rollout['paused_reason'], scope),
    deadline_missed_at: toTimestamp(row.deadlineMissedAt),
    superseded_by: row.supersededById,
    waves: wavesOf(row),
    left_out: scope === null ? (row.leftOut as Rollout['left_out']) : null,
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
    evolutions: evolutions.map(toEvolution),
    accepted_at: toTimestamp(row.acceptedAt),
    planned_at: toTimestamp(row.plannedAt),
    finished_at: toTimestamp(row.finishedAt),
    rolled_back_at: toTimestamp(row.rolledBackAt),
    updated_at: toTimestamp(row.updatedAt),
  };
}

/**
 * Removes from a rollout's options what a tenant must not see: the selection, which names other tenants and their
 * adapters, the labels of waves, and the address that approves waves.
 */
function showOptions(options: RolloutOptions, scope: string | null): RolloutOptions {
  if (scope === null || options.policy === undefined) return options;
  const { selection: _selection, waves, ...policy } = options.policy;
  const shown = waves?.map((wave) => ('label' in wave ? { label: {} } : wave));
  return { ...options, policy: withoutAddress({ ...policy, ...(shown !== undefined && { waves: shown }) }) };
}

/**
 * Hides from a tenant the figures for which a rollout was paused, because they cover the jobs of all tenants. The
 * tenant sees only what kind of reason it was.
 */
function showReason(reason: Rollout['paused_reason'], scope: string | null): Rollout['paused_reason'] {
  if (reason === null || reason.code === 'requested' || scope === null) return reason;
  const isRefused = reason.code === 'approval_refused';
  return {
    code: reason.code,
    message: isRefused ? 'a wave was not approved' : 'a condition of its policy was not met',
  };
}

function wavesOf({ options, wave, waveLimits, awaitingApproval }: RolloutRow): Rollout['waves'] {
  if ((options as RolloutOptions).policy === undefined) return null;
  // Prisma has no nullable lists: a raw query returns null, and Prisma's own query an empty list.
  const limits = waveLimits as string[] | null;
  return { released: wave, total: (limits?.length ?? 0) + 1, awaiting_approval: awaitingApproval };
}

function toEvolution({
  old_base_model_version_id,
  state,
  drift,
  advice,
  differences,
}: RolloutEvolutionRow): RolloutEvolution {
  return { old_base_model_version_id, state, drift, advice: adviceOf(state, advice, differences) };
}

function byState(counts: readonly CountRow[], kind: CountRow['kind']): Record<string, number> {
  return Object.fromEntries(
    counts.filter((row) => row.kind === kind && row.count > 0).map((row) => [row.state, row.count]),
  );
}

function total(counts: Record<string, number>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

/** Makes the queue entry by which a worker analyzes a rollout's base model versions and plans its jobs. */
export function toPlanEntry({ id }: { id: string }): QueueEntry {
  return { name: 'rollout.plan', id, payload: { rolloutId: id } };
}
