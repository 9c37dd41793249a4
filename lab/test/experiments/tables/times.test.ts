import { expect, it } from 'vitest';
import { strategyTimes, timesSection } from '../../../experiments/report/tables/times.ts';
import type { CellRecord } from '../../../experiments/records.ts';

/** Makes jobs from seconds to readiness (negative if the job ended without) and seconds of looks. */
function jobs(strategy: string, times: readonly (readonly [number, number])[]): CellRecord[] {
  return times.map(([seconds, looks], seed) => {
    const elapsedMs = 1000 * Math.abs(seconds);
    const ends =
      seconds > 0 ? { state: 'ready' as const, readyMs: elapsedMs } : { state: 'not_ready' as const, readyMs: null };
    const place = { task: 'past', adapter: 'lora8', evolution: 'v2', rows: 64, strategy, seed };
    return {
      ...place,
      ...ends,
      elapsedMs,
      phases: { evaluate: 1000 * looks },
      first: null,
      final: null,
    } as unknown as CellRecord;
  });
}

const cells = [
  ...jobs('auto', [
    [10, 5],
    [20, 5],
    [-30, 10],
  ]),
  ...jobs('scratch', [
    [100, 50],
    [-80, 40],
    [-90, 60],
  ]),
];
const times = strategyTimes(cells, { strategies: ['auto', 'paper', 'scratch'], baselines: ['scratch'] });

it('stand beside those without looks; a job that was not ready is shown with the time that it took at least', () => {
  expect(times).toMatchObject([
    {
      ...{ strategy: 'auto', jobs: 3, ready: 2, notReady: [30_000, 30_000] },
      ...{ median: { ms: 20_000, bound: false }, withoutLooks: { ms: 15_000, bound: false } },
    },
    {
      ...{ strategy: 'scratch', jobs: 3, ready: 1, notReady: [80_000, 90_000] },
      ...{ median: { ms: 90_000, bound: true }, withoutLooks: { ms: 40_000, bound: true } },
    },
  ]);
  const [{ against }] = times as [(typeof times)[number]];
  // Ratios of 10, of at least 4 and of 0, and without looks of 10, of at least 2.67 and of 0.
  expect(against[0]!.time!.median).toEqual({ value: 4, bound: true });
  expect(against[0]!.withoutLooks!.median).toEqual({ value: 40 / 15, bound: true });
});

it('are written with how many pairs were ready with both strategies, with one and with neither', () => {
  const rows = timesSection(times).filter((line) => line.startsWith('| '));
  expect(rows.slice(2).map((row) => row.split('|').map((cell) => cell.trim()))).toEqual([
    [
      '',
      'auto',
      '3',
      '2',
      '20.0',
      '15.0',
      '1 (≥ 30.0)',
      expect.stringMatching(/^≥ 4\.00 /),
      expect.stringMatching(/^≥ 2\.67 /),
      '1, 1, 0, 1',
      '',
    ],
    ['', 'scratch', '3', '1', '≥ 90.0', '≥ 40.0', '2 (≥ 80.0 to ≥ 90.0)', '', '', '', ''],
  ]);
  expect(timesSection([])).toEqual([]);
});
