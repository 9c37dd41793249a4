import type { QueueProducer } from '../../../platform/queue/producer.ts';
import type { Transaction } from '../../../platform/database/database.ts';
import { settleRollout } from '../settlement.ts';
import {
  fleetOf,
  plannedSource,
  planJobs,
  planningWithin,
  type NewJobs,
  type PlannerDependencies,
} from '../planning/planning.ts';
import { planningRepository } from '../planning/planning.repository.ts';
import type { StoredOptions } from '../rollout.schemas.ts';
import { successionRepository as repository } from './succession.repository.ts';
import { lockSuccession, withoutTaken, type Succession } from './succession.ts';

/** Number of late adapters for which one transaction plans jobs. */
const BATCH = 1000;

interface LateDependencies extends PlannerDependencies {
  producer: Pick<QueueProducer, 'enqueueAfterCommit' | 'remove'>;
}

interface Batch extends NewJobs {
  readonly isLast: boolean;
}

const NOTHING: NewJobs = { entries: [], superseded: [] };

/**
 * Plans jobs for late adapters: they were imported for an older base model version while a rollout went on, and its
 * policy lets them join. If the rollout has ended by now, they are left to the next rollout. Jobs are planned in
 * batches, each in a transaction; if the process dies in between, the next call plans the rest.
 */
export async function joinLateAdapters(deps: LateDependencies): Promise<void> {
  const { db, producer } = deps;
  for (const { id } of await repository.rolloutsWithLate(db)) {
    for (let isLast = false; !isLast;) {
      const batch: Batch = await planningWithin(db, (tx) => joinBatch(tx, deps, id));
      await producer.enqueueAfterCommit(batch.entries);
      await producer.remove('adaptations', batch.superseded);
      ({ isLast } = batch);
    }
  }
}

async function joinBatch(tx: Transaction, deps: PlannerDependencies, id: string): Promise<Batch> {
  const succession = await lockSuccession(tx, id);
  // A paused or still planning rollout is handled in a later pass.
  if (succession === null || isWaiting(succession.rollout.state)) return { ...NOTHING, isLast: true };
  if (succession.rollout.state !== 'adapting') {
    await repository.forgetLate(tx, id, null);
    return { ...NOTHING, isLast: true };
  }
  const adapterIds = await repository.lateAdapters(tx, id, BATCH);
  const jobs = await planLate(tx, deps, succession, adapterIds);
  await repository.forgetLate(tx, id, adapterIds);
  // If none of the late adapters could join, the rollout may be complete.
  const settled = await settleRollout(tx, id);
  return { ...jobs, entries: [...jobs.entries, ...settled], isLast: adapterIds.length < BATCH };
}

function isWaiting(state: string): boolean {
  return state === 'planning' || state === 'analyzing' || state === 'paused';
}

async function planLate(
  tx: Transaction,
  deps: PlannerDependencies,
  succession: Succession,
  adapterIds: readonly string[],
): Promise<NewJobs> {
  const { id, base_model_version_id: baseModelVersionId } = succession.rollout;
  const options = succession.rollout.options as StoredOptions;
  const fleet = { ...fleetOf({ baseModelVersionId, options }), among: adapterIds };
  const sources = await planningRepository.sources(tx, fleet, { after: '', limit: BATCH });
  const older = sources.filter((source) => source.base_model_version_id < baseModelVersionId);
  const found = await withoutTaken(
    tx,
    id,
    older.map((source) => plannedSource(source, new Map())),
  );
  return planJobs(tx, deps, { succession, late: true }, found);
}
