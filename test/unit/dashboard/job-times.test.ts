import { expect, test } from 'vitest';
import type { Event, Job } from '../../../openapi/clients/typescript/src/index.ts';
import { phaseTimes, totalOf } from '../../../dashboard/src/pages/job/time/phase-times.ts';
import { attemptsOf, spansOf } from '../../../dashboard/src/pages/job/time/spans.ts';

const ACCEPTED = Date.parse('2026-11-27T12:00:00Z');
const at = (seconds: number) => new Date(ACCEPTED + seconds * 1000).toISOString();

const NO_TIME = {
  ...{ queue_wait: 0, held: 0, prepare: 0, evolution: 0 },
  ...{ initialize: 0, fine_tune: 0, evaluate: 0, publish: 0 },
};

function jobWith(phases: Partial<Job['phases']>, more: Partial<Job>): Job {
  const clock = { phase: 'publish', phase_since: null, ready_at: null, finished_at: null } as const;
  return { ...clock, ...more, phases: { ...NO_TIME, ...phases } } as Job;
}

const event = (type: string, seconds: number, attempt?: number) =>
  ({ type, data: { attempt }, occurred_at: at(seconds) }) as unknown as Event;

test('whole milliseconds add up to the rounded sum, and the largest remainders are rounded up', () => {
  const times = phaseTimes(jobWith({ queue_wait: 10.4, prepare: 10.4, evaluate: 10.4, publish: 0.6 }, {}), 0);
  expect(times.filter(({ ms }) => ms > 0).map(({ phase, ms, start }) => [phase, start, ms])).toEqual([
    ['queue_wait', 0, 11],
    ['prepare', 11, 10],
    ['evaluate', 21, 10],
    ['publish', 31, 1],
  ]);
  expect(totalOf(times)).toBe(32);
});

test('the clock runs on, on the phase that it is on', () => {
  const job = jobWith({ queue_wait: 2000 }, { phase: 'fine_tune', phase_since: at(2) });
  const times = phaseTimes(job, ACCEPTED + 5000);
  expect(totalOf(times)).toBe(5000);
  expect(times.filter(({ isRunning }) => isRunning)).toEqual([
    { phase: 'fine_tune', start: 2000, ms: 3000, isRunning: true },
  ]);
});

test('what a job did begins at the acceptance of its rollout, ends at its readiness, and has no gaps', () => {
  const job = jobWith({ queue_wait: 6000, held: 4000, fine_tune: 10_000 }, { ready_at: at(20), finished_at: at(50) });
  const spans = spansOf(
    job,
    [
      event('job.queued', 1, 0),
      event('job.preparing', 3, 1),
      event('job.failed', 5, 1),
      event('job.queued', 9, 1),
      event('job.fine_tuning', 10, 2),
      event('job.ready', 20, 2),
    ],
    0,
  );
  expect(spans.map(({ lane, from, to, attempt }) => [lane, from, to, attempt])).toEqual([
    ['Waiting', 0, 1000, null],
    ['Waiting', 1000, 3000, null],
    ['Preparing', 3000, 5000, 1],
    ['Held', 5000, 9000, 1],
    ['Waiting', 9000, 10_000, 1],
    ['Fine-tuning', 10_000, 20_000, 2],
  ]);
  expect(attemptsOf(spans)).toEqual([
    { attempt: 1, at: 3000 },
    { attempt: 2, at: 10_000 },
  ]);
});
