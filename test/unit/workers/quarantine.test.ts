import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createQuarantine } from '../../../src/platform/queue/quarantine.ts';
import { createLogger } from '../../../src/lib/logger.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const OPTIONS = { firstDelayMs: 10, longestDelayMs: 50, faults: 3, firstMs: 1000, longestMs: 4000 };

function quarantine() {
  const calls: string[] = [];
  const logger = createLogger({ level: 'silent', pretty: false });
  const control = { pause: () => void calls.push('pause'), resume: () => void calls.push('resume') };
  return { calls, made: createQuarantine(logger, control, OPTIONS) };
}

test('the delay of a job doubles with each fault that it meets, up to a limit', () => {
  const { made } = quarantine();
  expect([1, 2, 3, 4, 5].map(() => made.fault('a', 'full'))).toEqual([10, 20, 40, 50, 50]);
  expect(made.fault('b', 'full')).toBe(10);
  made.success('a');
  expect(made.fault('a', 'full')).toBe(10);
});

test('faults in a row stop the worker, for longer each time, until a job succeeds', () => {
  const { made, calls } = quarantine();
  made.fault('a', 'full');
  made.fault('b', 'full');
  expect(made.active).toBeNull();
  made.fault('c', 'full');
  expect(made.active).toEqual({ reason: 'full', until: new Date(Date.now() + 1000) });
  vi.advanceTimersByTime(999);
  expect(calls).toEqual(['pause']);
  vi.advanceTimersByTime(1);
  expect(calls).toEqual(['pause', 'resume']);
  expect(made.active).toBeNull();
  made.fault('a', 'full');
  vi.advanceTimersByTime(1999);
  expect(made.active, 'one more fault is enough').not.toBeNull();
  vi.advanceTimersByTime(1);
  for (let times = 0; times < 5; times++) {
    made.fault('a', 'full');
    vi.advanceTimersByTime(4000);
    expect(made.active).toBeNull();
  }
  made.success('a');
  made.fault('a', 'full');
  expect(made.active).toBeNull();
});

test('a quarantine that is lifted ends at once, and its faults are forgotten', () => {
  const { made, calls } = quarantine();
  for (const job of ['a', 'b', 'c']) made.fault(job, 'full');
  made.lift();
  expect(calls).toEqual(['pause', 'resume']);
  expect(made.active).toBeNull();
  made.fault('d', 'full');
  expect(made.active).toBeNull();
});
