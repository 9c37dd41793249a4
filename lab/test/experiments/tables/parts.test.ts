import { describe, expect, it } from 'vitest';
import type { CellRecord, SearchPoint } from '../../../experiments/records.ts';
import { partsOf, partsSection } from '../../../experiments/report/tables/parts.ts';
import { simulateResults, type TrueStrategy } from '../support/simulated-results.ts';

const AS_GOOD = { loss: 0.02, gain: 0.3 };

/** Makes jobs of `auto`, with and without other tenants' searches, for six tenants of a task. */
function cellsOf(auto: Partial<TrueStrategy>, alone: Partial<TrueStrategy>): readonly CellRecord[] {
  const strategies = {
    auto: { ...AS_GOOD, seconds: 10, ...auto },
    'auto-alone': { ...AS_GOOD, seconds: 10, ...alone },
  };
  const size = { seeds: 6, testRows: 400, rows: [1500], settings: '' };
  return simulateResults({ strategies, copy: AS_GOOD }, size, 1).evidence.cells;
}

/** Makes a version with these coefficients, for the report of a rung and the best candidate of a job. */
function candidateOf(alpha: number | null, beta: number | null) {
  return { alpha, beta } as NonNullable<CellRecord['best']>;
}

function found(alpha: number, beta: number): CellRecord['ladder'] {
  return [{ rung: 'search', result: 'failed', reason: null, ms: 1, candidate: candidateOf(alpha, beta) }];
}

const stays = (cells: readonly CellRecord[]) => partsOf({ cells }).map((part) => part.stays);

describe('the search', () => {
  const cells = cellsOf({}, {}).filter(({ strategy }) => strategy === 'auto');
  const published = (job: Partial<CellRecord>) => partsOf({ cells: [{ ...cells[0]!, ...job }, ...cells.slice(1)] })[0]!;

  it('stays for a version that it found, or that was trained from what it found', () => {
    const part = published({ best: candidateOf(0.9, -0.4), ladder: found(0.9, -0.4) });
    expect(part).toMatchObject({ stays: true, measured: expect.stringContaining('1 of 6 published') as string });
  });

  it.each<[string, Partial<CellRecord>]>([
    ['of another rung', { best: candidateOf(1, -1), ladder: found(0.9, -0.4) }],
    ['trained from scratch', { best: candidateOf(null, null), ladder: found(0.9, -0.4) }],
    ['that was not published', { best: candidateOf(0.9, -0.4), ladder: found(0.9, -0.4), state: 'not_ready' }],
    ['without any search', { best: candidateOf(1, 0), ladder: [] }],
  ])('goes with nothing but a version %s', (_what, job) => {
    expect(published(job).stays).toBe(false);
  });

  it('cannot be judged where nothing was published', () => {
    expect(stays(cells.map((cell) => ({ ...cell, state: 'not_ready' })))[0]).toBeNull();
  });
});

describe('races', () => {
  const point = (beta: number, rows: number, ms: number): SearchPoint => ({ alpha: 1, beta, rows, ms, loss: 1, at: 0 });
  // One of two points was dropped after 16 rows: 80 rows took 800 ms, and the 48 left-out rows would have taken 480 ms.
  const search = [point(0, 16, 100), point(-1, 16, 100), point(-1, 32, 200), point(-1, 64, 400)];
  const racesIn = (seconds: number) => {
    const cells = [{ ...cellsOf({}, {})[0]!, strategy: 'auto', readyMs: 1000 * seconds, search }];
    return partsOf({ cells })[1]!;
  };

  it('stay for a twentieth of the time', () => {
    expect(racesIn(9)).toMatchObject({ stays: true, measured: '5.3 % of the jobs’ time saved by 1 searches' });
    expect(racesIn(10)).toMatchObject({ stays: false, measured: '4.8 % of the jobs’ time saved by 1 searches' });
  });

  it('cannot be judged without a search', () => {
    expect(stays(cellsOf({}, {}))[1]).toBeNull();
  });
});

describe('what other tenants have found', () => {
  it('stays where it makes jobs ready sooner and versions no worse', () => {
    expect(stays(cellsOf({ seconds: 5 }, {}))[2]).toBe(true);
  });

  it('goes where it saves no time, or costs quality', () => {
    expect(stays(cellsOf({}, {}))[2]).toBe(false);
    expect(stays(cellsOf({ seconds: 5, loss: 0.1 }, {}))[2]).toBe(false);
  });

  it('cannot be judged without a counterpart', () => {
    expect(stays(cellsOf({}, {}).filter(({ strategy }) => strategy === 'auto'))[2]).toBeNull();
  });
});

it('each part has a line that says what becomes of it', () => {
  const lines = partsSection(partsOf({ cells: cellsOf({ seconds: 5 }, {}) }), 'x').filter((line) =>
    line.startsWith('|'),
  );
  expect(lines.map((line) => line.split('|').at(-2)!.trim())).toEqual([
    ...['so it', '---', '**goes**', 'cannot be said', '**stays**'],
  ]);
});
