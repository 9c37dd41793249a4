import type { HandlerContext } from '../../src/jobs/index.ts';
import type { Database } from '../../src/lib/database.ts';
import type { BaseFitness } from '../base-fitness.ts';
import { reportingFaults, WORKER_FAULT } from '../handler-faults.ts';
import { adaptationRepository } from './adaptation.repository.ts';
import { anchorRepository } from './anchors/anchor.repository.ts';

export interface LeavingDependencies {
  readonly db: Database;
  readonly fitness: BaseFitness;
  /** This worker in the list of workers. */
  readonly workerId: string | null;
}

/** Runs the work of a job and reports faults of the machine, unless this worker cannot read one of the job's bases. */
export function leavingUnreadable(
  { db, fitness, workerId }: LeavingDependencies,
  jobId: string,
  { signal }: HandlerContext,
  work: () => Promise<void>,
): Promise<void> {
  return reportingFaults(async () => {
    const bases = await adaptationRepository.bases(db, jobId);
    const anchor = fitness.leftFor(jobId);
    // Where no other worker can read it any more, the job does without.
    if (anchor !== null && (await anchorRepository.othersMayRead(db, anchor.id, workerId))) bases.push(anchor);
    const note = (message: string) => adaptationRepository.noteWaiting(db, jobId, { code: WORKER_FAULT, message });
    await fitness.run({ id: jobId, bases, signal, note }, work);
  });
}
