import { priorityOf, TryLaterError, type JobProducer } from '../../src/platform/queue/index.ts';
import type { Database } from '../../src/platform/database/database.ts';
import { exchangeRepository as repository, type BasePair } from '../../src/fleet/rollouts/index.ts';

/** How many jobs a worker lets wait at most to stay with the bases that it has loaded. */
const MOST_PASSED = 8;

/** Whether another job should begin in the place of the one that the queue has given to this worker. */
export interface JobChoice {
  /** @throws TryLaterError if another job begins first, which is the next one of the queue then */
  leaveToBetter(jobId: string): Promise<void>;
  /** A job begins, which loads its bases. */
  loads(pair: BasePair): void;
}

/**
 * The fair order says whose turn it is; this chooses which job of the tenant begins, the one with the earliest deadline, and lets a worker
 * stay with the bases that it has loaded for a while. A job that gives way has not begun and goes back into the queue, so that attempts
 * and delays stay with the job that they belong to.
 */
export function createJobChoice({ db, producer }: { db: Database; producer: JobProducer }): JobChoice {
  let loaded: BasePair | null = null;
  /** How many jobs have given way since then. */
  let passed = 0;

  /** The tenant's job with the earliest deadline takes this job's place, and this job the other's. */
  const byDeadline = async (jobId: string): Promise<void> => {
    const other = await repository.withEarlierDeadline(db, jobId);
    if (other === null) return;
    const tags = new Map((await repository.exchange(db, [jobId, other])).map((job) => [job.id, job.start_tag]));
    const [own, first] = [tags.get(jobId), tags.get(other)];
    if (own === undefined || first === undefined) return;
    await producer.bringForward('adaptations', other, priorityOf(first));
    throw new TryLaterError(`job ${other} has an earlier deadline`, 0, { priority: priorityOf(own) });
  };

  /** A job of the pair that is loaded begins before this one, which keeps its place. */
  const byPair = async (jobId: string): Promise<void> => {
    if (loaded === null || passed >= MOST_PASSED) return;
    const other = await repository.ofPair(db, jobId, loaded);
    const brought = other === null ? null : await repository.bringForward(db, { id: other, to: jobId });
    if (brought === null) return;
    passed++;
    await producer.bringForward('adaptations', brought.id, priorityOf(brought.start_tag));
    throw new TryLaterError(`job ${brought.id} needs the bases that are loaded`, 0);
  };

  return {
    leaveToBetter: async (jobId) => {
      await byDeadline(jobId);
      await byPair(jobId);
    },
    loads: (pair) => {
      if (loaded?.oldId !== pair.oldId || loaded.newId !== pair.newId) passed = 0;
      loaded = pair;
    },
  };
}
