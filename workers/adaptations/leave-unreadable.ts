import type { HandlerContext } from '../../src/platform/queue/index.ts';
import type { Database } from '../../src/platform/database/database.ts';
import type { StoredError } from '../../src/platform/contract/shown-error.ts';
import type { BaseAvailability, NeededBase } from '../bases/base-availability.ts';
import { withFetchedBases } from '../bases/fetch-faults.ts';
import type { LocalBases } from '../bases/local-bases.ts';
import { reportingFaults } from '../faults/handler-faults.ts';
import { adaptationRepository } from './adaptation.repository.ts';
import { anchorRepository } from './anchors/anchor.repository.ts';

export interface LeavingDependencies {
  readonly db: Database;
  readonly availability: BaseAvailability;
  readonly local: LocalBases;
  /** Id of this worker in the list of workers. */
  readonly workerId: string | null;
  /** Called after this worker has left the job to other workers. */
  readonly onLeft?: () => Promise<void>;
}

/**
 * Runs the work of a job and reports faults of this machine. If this worker cannot read one of the job's bases, it
 * leaves the job to other workers instead.
 */
export function leavingUnreadable(
  { db, availability, local, workerId, onLeft }: LeavingDependencies,
  jobId: string,
  { signal }: HandlerContext,
  work: () => Promise<void>,
): Promise<void> {
  return reportingFaults(async () => {
    const sourced = await adaptationRepository.bases(db, jobId);
    const bases: NeededBase[] = sourced.map(local.locate);
    const anchor = availability.leftFor(jobId);
    // If no other worker can read the anchor's base any more, the job continues without the anchor.
    if (anchor !== null && (await anchorRepository.othersMayRead(db, anchor.id, workerId))) bases.push(anchor);
    const note = (problem: StoredError) => adaptationRepository.noteWaiting(db, jobId, problem);
    const fetched = [...sourced, ...(await anchorRepository.fetchedBase(db, jobId))];
    const leave = async (problem: StoredError) => {
      await note(problem);
      await onLeft?.();
    };
    await availability.run({ id: jobId, bases, signal, note: leave }, () =>
      withFetchedBases(local, fetched, { signal, note }, work),
    );
  });
}
