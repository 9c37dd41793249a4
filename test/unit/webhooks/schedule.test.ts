import { expect, test } from 'vitest';
import { RETRY_SCHEDULE } from '../../../src/delivery/webhooks/index.ts';

const HOUR = 3_600_000;

test('an event is sent ten times within three days and four hours, after longer and longer times', () => {
  const { delaysMs } = RETRY_SCHEDULE;
  expect(delaysMs).toHaveLength(9);
  expect([...delaysMs].sort((a, b) => a - b)).toEqual(delaysMs);
  expect(new Set(delaysMs).size).toBe(delaysMs.length);
  const hours = delaysMs.reduce((sum, ms) => sum + ms, 0) / HOUR;
  expect(hours).toBeGreaterThan(72);
  expect(hours).toBeLessThan(76);
  expect(delaysMs[0]).toBe(5000);
});

test('an endpoint rests from its second failure in a row on, for twice as long each time, up to five minutes', () => {
  const seconds = [0, 1, 2, 3, 4, 7, 8, 9, 10_000].map((failures) => RETRY_SCHEDULE.restMs(failures) / 1000);
  expect(seconds).toEqual([0, 0, 5, 10, 20, 160, 300, 300, 300]);
});
