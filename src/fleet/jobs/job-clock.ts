import { Prisma } from '../../platform/database/database.ts';
import { JOB_PHASES, type JobPhase } from './job.states.ts';

/**
 * SQL prelude that reads the database clock once, as `clock.now`.
 *
 * A job's clock runs on one phase at a time, on the database's time alone. Every statement that touches it adds the
 * time since `phase_since` to the column of the current phase and sets `phase_since` to `clock.now`. So the columns sum
 * to the time from acceptance to the last statement, whichever processes ran the statements: no time is lost or counted
 * twice. The clock stops when `ttr_ms` is set.
 *
 * The fragments below expect `FROM clock` and the jobs table under the name `j`.
 */
export const CLOCK = Prisma.raw('WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)');

const ELAPSED = 'GREATEST(0, EXTRACT(EPOCH FROM clock.now - j.phase_since) * 1000)::float8';

/** Assignments that add the time since the last statement to the current phase. */
export const ACCRUE = Prisma.raw(
  [
    ...JOB_PHASES.map((phase) => accrual(phase, `j.phase = '${phase}'`)),
    'phase_since = GREATEST(j.phase_since, clock.now)',
  ].join(', '),
);

/**
 * Assignments that add the time since the last statement to the wait in the queue, whatever the phase. Used when a
 * worker has died: since its last heartbeat, the job has been waiting for the next worker.
 */
export const ACCRUE_AS_WAIT = Prisma.raw(
  [accrual('queue_wait', 'TRUE'), 'phase_since = GREATEST(j.phase_since, clock.now)'].join(', '),
);

/**
 * Assignments that add the time since the last statement to the held time. Used when an ended job is retried: since its
 * end, it was neither worked on nor queued.
 */
export const ACCRUE_AS_HELD = Prisma.raw(
  [accrual('held', 'TRUE'), 'phase_since = GREATEST(j.phase_since, clock.now)'].join(', '),
);

/**
 * Sum of all phases, including the time since the last statement. For a job that becomes ready now, this is its time to
 * readiness.
 */
export const TOTAL = Prisma.raw(`(${[...JOB_PHASES.map((phase) => `j.${phase}_ms`), ELAPSED].join(' + ')})`);

/** Total time for which the job was held, in milliseconds, including a hold that still lasts. */
export const HELD_SO_FAR = Prisma.raw(`(j.held_ms + CASE WHEN j.phase = 'held' THEN ${ELAPSED} ELSE 0 END)`);

function accrual(phase: JobPhase, condition: string): string {
  return `${phase}_ms = j.${phase}_ms + CASE WHEN ${condition} AND j.ttr_ms IS NULL THEN ${ELAPSED} ELSE 0 END`;
}
