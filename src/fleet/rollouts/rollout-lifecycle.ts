import { NO_QUOTAS, type QuotaLimits } from '../../platform/config/quotas.ts';
import { withTransaction, type Database, type Prisma } from '../../platform/database/database.ts';
import { createJobRooms } from '../../tenants/quotas/index.ts';
import { recordEvent, recordRolloutEnd } from '../../delivery/events/index.ts';
import { cancelInBatches } from './cancellation.ts';
import { fleetOf, planInPages, type OnPlanned, type Refusals, type RolloutToPlan } from './planning/planning.ts';
import { planningRepository } from './planning/planning.repository.ts';
import { createRolloutRepository, type RolloutRow } from './rollout.repository.ts';
import { UNPLANNED_ROLLOUT_STATES } from './rollout.states.ts';
import { successionRepository } from './succession/succession.repository.ts';

interface RolloutLifecycleDependencies {
  readonly db: Database;
  readonly quotas?: QuotaLimits;
  /** Number of jobs that one transaction plans; 1,000 by default. */
  readonly pageSize?: number;
}

/**
 * Changes that a worker makes to a rollout's row while it analyzes base model versions and plans jobs. Every change is
 * a conditional update with its event, in one transaction.
 */
export interface RolloutLifecycle {
  /**
   * Begins the analysis of a rollout, or takes it over from a worker that has died. Returns null if the rollout no
   * longer needs an analysis.
   */
  beginAnalysis(id: string): Promise<RolloutRow | null>;
  /**
   * Takes the running analysis out of the count of attempts, because the worker is stopping, puts the analysis off, or
   * runs on a machine that fails. `error` is the failure of the machine, which the rollout shows while it waits; null
   * in the other cases.
   */
  excuse(id: string, error: Prisma.InputJsonObject | null): Promise<number>;
  /**
   * Lists the base model versions from which the rollout carries adapters over. Among them are the versions to which
   * unfinished jobs of older rollouts are still carrying adapters over.
   */
  oldVersions(rollout: Omit<RolloutToPlan, 'id'>): Promise<string[]>;
  /** Whether the rollout is still being analyzed; no longer if it was cancelled or paused meanwhile. */
  isAnalyzing(id: string): Promise<boolean>;
  /**
   * Moves a rollout whose jobs are not all planned yet to the state `failed`, and cancels the jobs that are planned.
   * Returns false, and changes nothing, if all jobs are planned, or if the rollout is paused or has ended.
   */
  fail(id: string, error: Prisma.InputJsonObject): Promise<boolean>;
  /** Plans the jobs of a rollout that is being analyzed, as {@link planInPages} does. */
  plan(rollout: RolloutToPlan, refusals: Refusals, onPlanned?: OnPlanned): Promise<number | null>;
}

export function createRolloutLifecycle({
  db,
  quotas = NO_QUOTAS,
  pageSize,
}: RolloutLifecycleDependencies): RolloutLifecycle {
  const rollouts = createRolloutRepository(db);
  const jobRooms = createJobRooms({ db, defaults: quotas });

  return {
    beginAnalysis: (id: string): Promise<RolloutRow | null> =>
      withTransaction(db, async (tx) => {
        if (await rollouts.move(tx, id, { from: ['planning'], next: 'analyzing' })) {
          const data = { from: 'planning' };
          await recordEvent(tx, { tenantId: null, type: 'rollout.analyzing', subjectId: id, data });
        }
        await rollouts.countAnalysis(tx, id);
        const row = await rollouts.find(id, tx);
        return row?.state === 'analyzing' ? row : null;
      }),

    excuse: (id: string, error: Prisma.InputJsonObject | null): Promise<number> =>
      withTransaction(db, (tx) => rollouts.excuseAnalysis(tx, id, error)),

    oldVersions: async (rollout: Omit<RolloutToPlan, 'id'>): Promise<string[]> => {
      const found = await planningRepository.oldVersions(db, fleetOf(rollout));
      return [...new Set([...found, ...(await successionRepository.versionsOnTheWay(db, rollout.baseModelVersionId))])];
    },

    isAnalyzing: async (id: string): Promise<boolean> => (await rollouts.find(id))?.state === 'analyzing',

    fail: async (id: string, error: Prisma.InputJsonObject): Promise<boolean> => {
      const failed = await withTransaction(db, async (tx) => {
        const moved = await rollouts.move(tx, id, { from: UNPLANNED_ROLLOUT_STATES, next: 'failed', error });
        if (moved) await recordRolloutEnd(tx, { type: 'rollout.failed', subjectId: id, data: { error } });
        return moved;
      });
      if (failed) await cancelInBatches(db, id);
      return failed;
    },

    plan: (
      rollout: RolloutToPlan,
      refusals: Refusals,
      onPlanned: OnPlanned = () => Promise.resolve(),
    ): Promise<number | null> => planInPages({ db, jobRooms, pageSize }, rollout, refusals, onPlanned),
  };
}
