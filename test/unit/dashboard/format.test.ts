import { describe, expect, test } from 'vitest';
import {
  bytes,
  compact,
  counted,
  decimal,
  duration,
  percent,
  relativeTime,
} from '../../../dashboard/src/lib/format.ts';

test.each([
  [null, '–'],
  [0, '0 ms'],
  [850.4, '850 ms'],
  [999.7, '1.0 s'],
  [12_440, '12.4 s'],
  [59_949, '59.9 s'],
  [59_960, '1 min 00 s'],
  [185_000, '3 min 05 s'],
  [3_599_600, '1 h 00 min'],
  [7_620_000, '2 h 07 min'],
  [273_600_000, '3 d 4 h'],
])('%s milliseconds are %s', (ms, text) => {
  expect(duration(ms)).toBe(text);
});

describe('a time', () => {
  const now = Date.parse('2026-11-27T12:00:00Z');
  test.each([
    ['2026-11-27T11:59:59.9Z', 'now'],
    ['2026-11-27T11:59:00.4Z', '1 minute ago'],
    ['2026-11-27T11:57:10Z', '3 minutes ago'],
    ['2026-11-27T11:00:10Z', '1 hour ago'],
    ['2026-11-29T12:00:00Z', 'in 2 days'],
    ['2026-11-26T12:00:10Z', 'yesterday'],
    ['2024-11-27T12:00:00Z', '2 years ago'],
  ])('%s is %s', (time, text) => {
    expect(relativeTime(new Date(time), now)).toBe(text);
  });
});

test('figures are as short as they can be read', () => {
  expect([counted(1, 'adapter'), counted(12_345, 'adapter'), counted(2, 'entry', 'entries')]).toEqual([
    '1 adapter',
    '12,345 adapters',
    '2 entries',
  ]);
  expect([compact(7_241_732_096), percent(0.125), decimal(0.12345), bytes(1536), bytes(null)]).toEqual([
    '7.2B',
    '12.5%',
    '0.123',
    '1.5 KiB',
    '–',
  ]);
});
