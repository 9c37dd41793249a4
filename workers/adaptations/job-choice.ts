import { priorityOf, TryLaterError, type QueueProducer } from '../../src/platform/queue/index.ts';
import type { Database } from '../../src/platform/database/database.ts';
import {
  bringForward,
  exchangeStartTags,
  nextJobOfPair,
  withEarlierDeadline,
  type BasePair,
} from '../../src/fleet/rollouts/index.ts';

/** Largest number of jobs that a worker passes over to stay with the bases that it has loaded. */
const MOST_PASSED = 8;

/** Decides whether another job begins before the job that the queue has handed to this worker. */
export interface JobChoice {
  /**
   * Puts the job back into the queue if another one has to begin first.
   * @throws TryLaterError if another job begins first; the queue hands out that job next
   */
  leaveToBetter(jobId: string): Promise<void>;
  /** Records the two bases of a job that begins, because they stay loaded after it. */
  loads(pair: BasePair): void;
}

/**
 * Chooses which job of the tenant begins, after the fair order has chosen the tenant: the one with the earliest
 * deadline. For a while it also lets a worker stay with the bases that it has loaded. A job that is passed over has not
 * begun and goes back into the queue, so that attempts and delays stay with their job.
 */
export function createJobChoice({ db, producer }: { db: Database; producer: QueueProducer }): JobChoice {
  let loaded: BasePair | null = null;
  /** Number of jobs passed over since the worker last loaded other bases. */
  let passed = 0;

  /**
   * Exchanges the places in the queue of this job and of the same tenant's job with the earliest deadline, if this job
   * has a later deadline.
   */
  const byDeadline = async (jobId: string): Promise<void> => {
    const other = await withEarlierDeadline(db, jobId);
    if (other === null) return;
    const tags = new Map((await exchangeStartTags(db, [jobId, other])).map((job) => [job.id, job.start_tag]));
    const [own, first] = [tags.get(jobId), tags.get(other)];
    if (own === undefined || first === undefined) return;
    await producer.bringForward('adaptations', other, priorityOf(first));
    throw new TryLaterError(`job ${other} has an earlier deadline`, 0, { priority: priorityOf(own) });
  };

  /** Moves another job that needs the loaded bases ahead of this job, which keeps its own place in the queue. */
  const byPair = async (jobId: string): Promise<void> => {
    if (loaded === null || passed >= MOST_PASSED) return;
    const other = await nextJobOfPair(db, jobId, loaded);
    const brought = other === null ? null : await bringForward(db, { id: other, to: jobId });
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
