import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SummaryCache } from '../../../src/fleet/rollouts/summary-cache.ts';

const ID = 'rol_1';
/** Duration of computing the figures, in milliseconds. */
const COST = 100;

let computed: number;
/** Repository whose median is the number of its computation. */
const repository = {
  summaries: (ids: readonly string[]) => {
    computed++;
    vi.advanceTimersByTime(COST);
    const figures = { median_ttr_ms: computed, makespan_ms: null, median_speedup: null };
    return Promise.resolve(ids.map((id) => ({ rollout_id: id, ...figures })));
  },
};

beforeEach(() => {
  computed = 0;
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => void vi.useRealTimers());

/** Counts of a rollout with the given number of ended jobs. */
function counts(jobs: number, ended: number) {
  const row = { rollout_id: ID, kind: 'adaptation' as const };
  return [
    { ...row, state: 'ready', count: ended, unfinished: 0, changes: ended },
    { ...row, state: 'queued', count: jobs - ended, unfinished: jobs - ended, changes: ended },
  ];
}

async function median(cache: SummaryCache, jobs: number, ended: number): Promise<number | null | undefined> {
  return (await cache.get(repository, [ID], counts(jobs, ended), null))[0]?.median_ttr_ms;
}

test('the figures of a small rollout follow each change, and are computed once for it', async () => {
  const cache = new SummaryCache();
  expect(await median(cache, 10, 0)).toBeUndefined();
  expect(await median(cache, 10, 1)).toBe(1);
  expect(await median(cache, 10, 1)).toBe(1);
  expect(await median(cache, 10, 2)).toBe(2);
});

const FIGURES_OF_LARGE_ROLLOUT =
  'those of a large one are computed for a twentieth of the time while its jobs go on, and are exact at the end';
test(FIGURES_OF_LARGE_ROLLOUT, async () => {
  const cache = new SummaryCache();
  expect(await median(cache, 100_000, 1)).toBe(1);
  vi.advanceTimersByTime(19 * COST);
  expect(await median(cache, 100_000, 2)).toBe(1);
  vi.advanceTimersByTime(2 * COST);
  expect(await median(cache, 100_000, 3)).toBe(2);
  expect(await median(cache, 100_000, 99_999)).toBe(2);
  expect(await median(cache, 100_000, 100_000)).toBe(3);
});

test('what could not be computed is tried again', async () => {
  const cache = new SummaryCache();
  const failing = { summaries: () => Promise.reject(new Error('no connection')) };
  await expect(cache.get(failing as never, [ID], counts(100_000, 1), null)).rejects.toThrow('no connection');
  expect(await median(cache, 100_000, 1)).toBe(1);
});
