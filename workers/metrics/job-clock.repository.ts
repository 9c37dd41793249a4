import type { Queryable } from '../../src/platform/database/database.ts';

/** Reads how long a job has spent in each phase, in milliseconds, after it is ready or has ended. */
export const jobClockRepository = {
  find: (db: Queryable, id: string) =>
    db.job.findUnique({
      where: { id },
      select: {
        kind: true,
        wonStrategy: true,
        ttrMs: true,
        queueWaitMs: true,
        heldMs: true,
        prepareMs: true,
        evolutionMs: true,
        initializeMs: true,
        fineTuneMs: true,
        evaluateMs: true,
        publishMs: true,
      },
    }),
};

export type JobClock = NonNullable<Awaited<ReturnType<typeof jobClockRepository.find>>>;
