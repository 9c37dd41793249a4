import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { CommitPosition } from '../../../src/delivery/events/index.ts';
import { createEventWatch, type Wake } from '../../../src/delivery/events/stream/event-watch.ts';

const POLL_MS = 500;
const HEARTBEAT_MS = 15_000;

const at = (transaction: number, sequence = 0): CommitPosition => {
  return { transaction: BigInt(transaction), sequence: BigInt(sequence) };
};
const about = (tenantId: string | null, subjectId: string, rolloutId: string | null = null) => {
  return { tenant_id: tenantId, subject_id: subjectId, rollout_id: rolloutId };
};

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function createWatch() {
  const subjectsAfter = vi.fn().mockResolvedValue({ subjects: [], end: at(10), isLast: true });
  const warn = vi.fn();
  const watch = createEventWatch({ subjectsAfter, heartbeatMs: HEARTBEAT_MS, pollMs: POLL_MS, logger: { warn } });
  const wakes: [string, Wake | null][] = [];
  const wait = (
    name: string,
    interest: Partial<Parameters<typeof watch.next>[0]> = {},
    position = at(10),
    signal = new AbortController().signal,
  ) => void watch.next({ tenantId: null, ...interest }, position, signal).then((wake) => wakes.push([name, wake]));
  return { watch, subjectsAfter, warn, wakes, wait };
}

describe('the query for new events', () => {
  test('is asked only while somebody waits, once for all of them', async () => {
    const { subjectsAfter, wait, watch, wakes } = createWatch();
    await vi.advanceTimersByTimeAsync(10 * POLL_MS);
    expect(subjectsAfter).not.toHaveBeenCalled();
    const streams = Array.from({ length: 1000 }, () => new AbortController());
    for (const { signal } of streams) wait('stream', {}, at(10), signal);
    await vi.advanceTimersByTimeAsync(10 * POLL_MS);
    expect(subjectsAfter).toHaveBeenCalledTimes(10);
    for (const stream of streams) stream.abort();
    await vi.advanceTimersByTimeAsync(10 * POLL_MS);
    expect(subjectsAfter).toHaveBeenCalledTimes(11);
    expect(wakes).toHaveLength(1000);
    watch.close();
  });

  test('is asked again after it has failed, from the same position', async () => {
    const { subjectsAfter, wait, wakes, warn } = createWatch();
    subjectsAfter.mockRejectedValueOnce(new Error('away'));
    subjectsAfter.mockResolvedValueOnce({ subjects: [about(null, 'a')], end: at(12), isLast: true });
    wait('stream');
    await vi.advanceTimersByTimeAsync(2 * POLL_MS);
    expect(warn).toHaveBeenCalledOnce();
    expect(subjectsAfter.mock.calls).toEqual([[at(10)], [at(10)]]);
    expect(wakes).toEqual([['stream', { reason: 'events', position: at(10) }]]);
  });

  test('goes on at once where there are more than one answer has', async () => {
    const { subjectsAfter, wait } = createWatch();
    subjectsAfter.mockResolvedValueOnce({ subjects: [about(null, 'a')], end: at(11, 5), isLast: false });
    wait('other', { subjectId: 'b' });
    await vi.advanceTimersByTimeAsync(POLL_MS + 1);
    expect(subjectsAfter.mock.calls).toEqual([[at(10)], [at(11, 5)]]);
  });
});

test('those are woken whom an event concerns, and go on where all before is known to them', async () => {
  const { subjectsAfter, wait, wakes } = createWatch();
  subjectsAfter.mockResolvedValueOnce({ subjects: [], end: at(20), isLast: true });
  subjectsAfter.mockResolvedValueOnce({ subjects: [about('t1', 'j1', 'r1')], end: at(30), isLast: true });
  wait('all');
  wait('later', {}, at(25));
  for (const name of ['t1', 't2']) wait(name, { tenantId: name });
  for (const name of ['j1', 'j2']) wait(name, { subjectId: name });
  for (const name of ['r1', 'r2']) wait(name, { tenantId: 't1', rolloutId: name });
  wait('another tenant', { tenantId: 't2', rolloutId: 'r1' });
  await vi.advanceTimersByTimeAsync(2 * POLL_MS);
  const woken = { reason: 'events', position: at(20) };
  expect(wakes).toEqual([
    ['all', woken],
    ['later', { reason: 'events', position: at(25) }],
    ...['t1', 'j1', 'r1'].map((name) => [name, woken]),
  ]);
});

test('a stream that has read less than was announced reads again at once', async () => {
  const { subjectsAfter, wait, wakes } = createWatch();
  subjectsAfter.mockResolvedValue({ subjects: [], end: at(20), isLast: true });
  wait('first');
  await vi.advanceTimersByTimeAsync(POLL_MS);
  wait('second', {}, at(15));
  wait('third', {}, at(20));
  await vi.advanceTimersByTimeAsync(0);
  expect(wakes).toEqual([['second', { reason: 'events', position: at(15) }]]);
});

test('a heartbeat says up to where there is nothing, and the end wakes everybody', async () => {
  const { subjectsAfter, wait, wakes, watch } = createWatch();
  subjectsAfter.mockResolvedValue({ subjects: [], end: at(20), isLast: true });
  wait('stream');
  await vi.advanceTimersByTimeAsync(HEARTBEAT_MS);
  expect(wakes.splice(0)).toEqual([['stream', { reason: 'heartbeat', position: at(20) }]]);
  wait('stream', {}, at(20));
  watch.close();
  await vi.advanceTimersByTimeAsync(HEARTBEAT_MS);
  wait('too late', {}, at(20));
  await vi.advanceTimersByTimeAsync(HEARTBEAT_MS);
  expect(wakes).toEqual([
    ['stream', null],
    ['too late', null],
  ]);
});
