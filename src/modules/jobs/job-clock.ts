import { Prisma } from '../../lib/database.ts';
import { type JobPhase } from './job.states.ts';
import { PHASES } from '../../../core/options/phases.ts';

/**
 * The clock of a job runs on one phase at a time and on the database's time alone. Every statement that touches it
 * reads the time once, as `clock.now`, adds what has passed since `phase_since` to the column of the current phase and
 * moves `phase_since` on. So the columns sum to the time from acceptance to the last statement, with nothing lost or
 * counted twice, whichever process ran it. Once `ttr_ms` is set the clock stands still.
 *
 * The fragments expect `FROM clock` (see {@link CLOCK}) and the jobs table under the name `j`.
 */
export const CLOCK = Prisma.raw('WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)');

const ELAPSED = 'GREATEST(0, EXTRACT(EPOCH FROM clock.now - j.phase_since) * 1000)::float8';

/** Assignments that add the time since the last statement to the current phase. */
export const ACCRUE = Prisma.raw(
  [
    ...PHASES.map((phase) => accrual(phase, `j.phase = '${phase}'`)),
    'phase_since = GREATEST(j.phase_since, clock.now)',
  ].join(', '),
);

/**
 * Assignments that give the time since the last statement to the wait in the queue, whatever the phase: what passed
 * after the last sign of life of a worker that died was waiting for the next one.
 */
export const ACCRUE_AS_WAIT = Prisma.raw(
  [accrual('queue_wait', 'TRUE'), 'phase_since = GREATEST(j.phase_since, clock.now)'].join(', '),
);

/** Sum of all phases, time since the last statement included: the time to readiness if the job is ready now. */
export const TOTAL = Prisma.raw(`(${[...PHASES.map((phase) => `j.${phase}_ms`), ELAPSED].join(' + ')})`);

function accrual(phase: JobPhase, condition: string): string {
  return `${phase}_ms = j.${phase}_ms + CASE WHEN ${condition} AND j.ttr_ms IS NULL THEN ${ELAPSED} ELSE 0 END`;
}
