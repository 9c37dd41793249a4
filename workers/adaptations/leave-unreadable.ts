import type { HandlerContext } from '../../src/jobs/index.ts';
import type { Database } from '../../src/lib/database.ts';
import type { BaseFitness } from '../base-fitness.ts';
import { reportingFaults, WORKER_FAULT } from '../handler-faults.ts';
import { adaptationRepository } from './adaptation.repository.ts';

/** Runs the work of a job and reports faults of the machine, unless this worker cannot read one of the job's bases. */
export function leavingUnreadable(
  { db, fitness }: { db: Database; fitness: BaseFitness },
  jobId: string,
  { signal }: HandlerContext,
  work: () => Promise<void>,
): Promise<void> {
  return reportingFaults(async () => {
    const bases = await adaptationRepository.bases(db, jobId);
    const note = (message: string) => adaptationRepository.noteWaiting(db, jobId, { code: WORKER_FAULT, message });
    await fitness.run({ bases, signal, note }, work);
  });
}
