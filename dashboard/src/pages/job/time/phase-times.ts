import type { Job } from '@readapt/client';

export type Phase = keyof Job['phases'];

/** Phases of a job in the usual order. A job may return to earlier ones. */
const PHASES: readonly Phase[] = [
  ...(['queue_wait', 'held', 'prepare', 'evolution'] as const),
  ...(['initialize', 'fine_tune', 'evaluate', 'publish'] as const),
];

/** Time that a job has spent in a phase, in whole milliseconds. */
export interface PhaseTime {
  readonly phase: Phase;
  /** Time spent in all phases before this one in the table, in milliseconds. */
  readonly start: number;
  readonly ms: number;
  /** Whether the job is in the phase now. */
  readonly isRunning: boolean;
}

/**
 * Times of all phases, rounded by the largest remainder method: each is rounded down, then those with the largest
 * remainders are rounded up until the parts add up to the rounded total.
 * @param now present time in milliseconds, up to which the running phase counts
 */
export function phaseTimes({ phases, phase: running, phase_since: since }: Job, now: number): readonly PhaseTime[] {
  const more = since === null ? 0 : Math.max(0, now - Date.parse(since));
  const exact = PHASES.map((phase) => phases[phase] + (phase === running ? more : 0));
  const whole = exact.map(Math.floor);
  const missing = Math.round(sum(exact)) - sum(whole);
  const byRemainder = exact.map((ms, index) => ({ index, rest: ms % 1 })).sort((a, b) => b.rest - a.rest);
  for (const { index } of byRemainder.slice(0, missing)) whole[index]! += 1;
  return PHASES.map((phase, index) => ({
    phase,
    start: sum(whole.slice(0, index)),
    ms: whole[index]!,
    isRunning: since !== null && phase === running,
  }));
}

/** Adds up the times of all phases, in whole milliseconds. For a ready job, the sum is its time to readiness. */
export const totalOf = (times: readonly PhaseTime[]): number => sum(times.map(({ ms }) => ms));

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
