import type { Event, Job } from '@readapt/client';
import { phaseTimes, totalOf } from './phase-times.ts';

export const LANES = ['Waiting', 'Held', 'Preparing', 'Initializing', 'Fine-tuning', 'Evaluating'] as const;
export type Lane = (typeof LANES)[number];

/** Period that a job spent in one state. Times are milliseconds since its rollout was accepted. */
export interface Span {
  readonly lane: Lane;
  /** Description of the state in words: `waiting for a worker`. */
  readonly what: string;
  readonly from: number;
  readonly to: number;
  /** Number of the attempt during which the job was in the state; null before the first attempt. */
  readonly attempt: number | null;
}

const PLACES: Readonly<Record<string, { readonly lane: Lane; readonly what: string }>> = {
  planned: { lane: 'Waiting', what: 'waiting until its rollout was planned' },
  queued: { lane: 'Waiting', what: 'waiting for a worker' },
  held: { lane: 'Held', what: 'held back' },
  paused: { lane: 'Held', what: 'paused' },
  preparing: { lane: 'Preparing', what: 'preparing' },
  initializing: { lane: 'Initializing', what: 'initializing' },
  fine_tuning: { lane: 'Fine-tuning', what: 'fine-tuning' },
  evaluating: { lane: 'Evaluating', what: 'evaluating' },
  not_ready: { lane: 'Held', what: 'ended as not ready, until it was retried' },
  failed: { lane: 'Held', what: 'failed, until it was retried' },
  cancelled: { lane: 'Held', what: 'cancelled, until it was retried' },
};

interface Change {
  readonly state: string;
  readonly at: number;
  readonly attempt: number | null;
}

/**
 * Computes the periods that a job spent in its states, from the acceptance of its rollout to its readiness, its end, or
 * now. The acceptance time is the end minus the sum of the phases.
 * @param events events of the job in order of time
 * @param now present time in milliseconds, for a job that has not ended
 */
export function spansOf(job: Job, events: readonly Event[], now: number): readonly Span[] {
  const stopped = job.ready_at ?? job.finished_at;
  const end = stopped === null ? now : Date.parse(stopped);
  const accepted = end - totalOf(phaseTimes(job, now));
  const changes = changesOf(events);
  const begin: Change = { state: 'planned', at: accepted, attempt: null };
  return [begin, ...changes]
    .map((change, index, all): Span | null => {
      const place = PLACES[change.state];
      const to = Math.min(end, all[index + 1]?.at ?? end);
      if (place === undefined || to <= change.at) return null;
      return { ...place, from: change.at - accepted, to: to - accepted, attempt: change.attempt };
    })
    .filter((span) => span !== null);
}

function changesOf(events: readonly Event[]): Change[] {
  let attempt: number | null = null;
  return events.flatMap((event) => {
    const state = event.type.replace(/^job\./, '');
    if (!(state in PLACES) && state !== 'ready') return [];
    const begun = 'attempt' in event.data ? Number(event.data.attempt ?? 0) : 0;
    if (begun > 0) attempt = begun;
    return [{ state, at: Date.parse(event.occurred_at), attempt }];
  });
}

/**
 * Computes when each attempt started, that is, when a worker took the job, in milliseconds since the rollout was
 * accepted.
 */
export function attemptsOf(spans: readonly Span[]): readonly { readonly attempt: number; readonly at: number }[] {
  const starts = new Map<number, number>();
  for (const { attempt, from } of spans) if (attempt !== null && !starts.has(attempt)) starts.set(attempt, from);
  return [...starts].map(([attempt, at]) => ({ attempt, at }));
}
