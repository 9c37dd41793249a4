import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { JobEvent } from '../../../../core/adaptation/job-events.ts';
import type { JobOutcome } from '../../../../core/adaptation/job-outcome.ts';
import { JobWatch } from '../../../experiments/measurement/job-watch.ts';

beforeEach(() => vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => vi.useRealTimers());

const told = (ended: boolean): JobEvent => {
  const ladder = { current: null, rungs: [], candidates: [], publishedId: null, ended };
  return { type: 'ladder', ladder };
};

/** Runs a job whose ladder ends after 5 s, and which then measures its best candidate for 3 s and writes it for 1 s. */
async function run(watch: JobWatch, outcome: Partial<JobOutcome>, last: JobEvent = told(false)): Promise<JobOutcome> {
  return watch.time(async () => {
    await watch.onEvent(told(false));
    vi.advanceTimersByTime(5000);
    await watch.onEvent(last);
    vi.advanceTimersByTime(3000);
    await watch.onEvent(told(true));
    vi.advanceTimersByTime(1000);
    return { state: 'not_ready', phases: { fine_tune: 3000, evaluate: 5000 }, ...outcome } as JobOutcome;
  });
}

it.each([
  ['a step', told(false)],
  ['training that diverges', { type: 'warning', message: 'training diverged' }],
] as const)('stops the clock of a job that is not ready with the last that its ladder did: %s', async (_, last) => {
  const watch = new JobWatch();
  const { phases } = await run(watch, {}, last);
  expect(watch.elapsedMs).toBe(5000);
  // Measurements for the report alone are in no phase, so that the time of looks can be taken off.
  expect(phases).toEqual({ fine_tune: 3000, evaluate: 2000 });
});

it('leaves a ready job its phases, which end with its readiness', async () => {
  const watch = new JobWatch();
  const { phases } = await run(watch, { state: 'ready' });
  expect([watch.elapsedMs, phases.evaluate]).toEqual([5000, 5000]);
});

it('has the whole time of a job that fails', async () => {
  const watch = new JobWatch();
  const failing = watch.time(async () => {
    await watch.onEvent(told(false));
    vi.advanceTimersByTime(7000);
    throw new Error('failed');
  });
  await expect(failing).rejects.toThrow('failed');
  expect(watch.elapsedMs).toBe(7000);
});
