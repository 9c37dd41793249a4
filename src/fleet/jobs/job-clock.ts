import { Prisma } from '../../platform/database/database.ts';
import { JOB_PHASES, type JobPhase } from './job.states.ts';

/**
 * Beginning of an SQL statement that reads the database's clock once, as `clock.now`.
 *
 * A job's clock always runs on one phase, by the time of the database. Every statement that touches the clock adds the
 * time since `phase_since` to the column of the present phase, and sets `phase_since` to `clock.now`. So the columns
 * sum to the time from the acceptance to the last statement, whichever processes ran the statements: no time is lost or
 * counted twice. The clock stops when `ttr_ms` is set.
 *
 * The SQL fragments of this file expect `FROM clock`, and the jobs table under the name `j`.
 */
export const CLOCK = Prisma.raw('WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)');

const ELAPSED = 'GREATEST(0, EXTRACT(EPOCH FROM clock.now - j.phase_since) * 1000)::float8';

/** SQL assignments that add the time since the last statement on a job's clock to the job's present phase. */
export const ACCRUE = Prisma.raw(
  [
    ...JOB_PHASES.map((phase) => accrual(phase, `j.phase = '${phase}'`)),
    'phase_since = GREATEST(j.phase_since, clock.now)',
  ].join(', '),
);

/**
 * SQL assignments that add the time since the last statement on a job's clock to the wait in the queue, whatever the
 * phase. A claim uses them: if a worker has died, the job has waited for the next one since the last heartbeat.
 */
export const ACCRUE_AS_WAIT = Prisma.raw(
  [accrual('queue_wait', 'TRUE'), 'phase_since = GREATEST(j.phase_since, clock.now)'].join(', '),
);

/**
 * SQL assignments that add the time since the last statement on a job's clock to the held time. A retry uses them:
 * since the job's end, nobody has worked on it and it was not in the queue.
 */
export const ACCRUE_AS_HELD = Prisma.raw(
  [accrual('held', 'TRUE'), 'phase_since = GREATEST(j.phase_since, clock.now)'].join(', '),
);

/**
 * SQL for the sum of a job's phases, in milliseconds, with the time since the last statement on its clock. For a job
 * that becomes ready now, the sum is its time to readiness.
 */
export const TOTAL = Prisma.raw(`(${[...JOB_PHASES.map((phase) => `j.${phase}_ms`), ELAPSED].join(' + ')})`);

/** SQL for the total time that a job was held, in milliseconds, including the present hold if the job is held now. */
export const HELD_SO_FAR = Prisma.raw(`(j.held_ms + CASE WHEN j.phase = 'held' THEN ${ELAPSED} ELSE 0 END)`);

function accrual(phase: JobPhase, condition: string): string {
  return `${phase}_ms = j.${phase}_ms + CASE WHEN ${condition} AND j.ttr_ms IS NULL THEN ${ELAPSED} ELSE 0 END`;
}
