import type { Job } from '@readapt/client';

export type Phase = keyof Job['phases'];

/** The phases in the order in which a job goes through them as a rule. It may come back to some of them. */
const PHASES: readonly Phase[] = [
  ...(['queue_wait', 'held', 'prepare', 'evolution'] as const),
  ...(['initialize', 'fine_tune', 'evaluate', 'publish'] as const),
];

/** The time that a job has spent on a phase, in whole milliseconds. */
export interface PhaseTime {
  readonly phase: Phase;
  /** The time of all phases before it. */
  readonly start: number;
  readonly ms: number;
  /** Whether the clock runs on it now. */
  readonly isRunning: boolean;
}

/**
 * The times of all phases, rounded so that they add up to the rounded time of the whole: each is rounded down, and those with the largest
 * remainders are rounded up.
 * @param now the present in milliseconds, up to which the running phase is counted
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

/** The time of the whole, in whole milliseconds: the time to readiness of a job that is ready. */
export const totalOf = (times: readonly PhaseTime[]): number => sum(times.map(({ ms }) => ms));

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
