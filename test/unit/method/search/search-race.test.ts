import { describe, expect, it } from 'vitest';
import { Random } from '../../../../core/statistics/random.ts';
import { compare, isWithinNoise, raceStages } from '../../../../core/method/search/search-race.ts';

const measured = (losses: readonly number[]) => ({ rows: losses.length, losses: Float64Array.from(losses) });

describe('raceStages', () => {
  it.each([
    [64, [16, 32, 64]],
    [50, [16, 32, 50]],
    [16, [16]],
    [5, [5]],
  ])('at %i rows are %j', (rows, expected) => {
    expect(raceStages(rows)).toEqual(expected);
  });
});

describe('isWithinNoise', () => {
  it('allows one standard error of the difference: worked by hand', () => {
    const best = measured([1, 5, 2, 8]);
    const tokens = [1, 1, 1, 1];
    // Differences 0.3, −0.1, 0.3, −0.1: mean 0.1, standard error 0.2 · √(4 / 3) / √4 = 0.11547.
    expect(isWithinNoise(measured([1.3, 4.9, 2.3, 7.9]), best, tokens)).toBe(true);
    // 0.05 more in every row: mean 0.15, the same error.
    expect(isWithinNoise(measured([1.35, 4.95, 2.35, 7.95]), best, tokens)).toBe(false);
    expect(isWithinNoise(best, best, tokens)).toBe(true);
  });

  it('knows no error of one row', () => {
    expect(isWithinNoise(measured([9]), measured([1]), [1])).toBe(true);
  });
});

describe('compare', () => {
  it('sees by pairs what means do not show: worked by hand', () => {
    // Differences 0.1, 0.2, 0.1, 0.2: mean 0.15, standard error √(4 · 0.05² / 3) / √4 = 0.028868.
    const tokens = [1, 1, 1, 1];
    const [incumbent, challenger] = [measured([1, 5, 2, 8]), measured([1.1, 5.2, 2.1, 8.2])];
    // With three degrees of freedom 2.5 standard errors become 5.7: a tolerance of 0.16.
    expect(compare(challenger, incumbent, tokens).outcome).toBe('undecided');
    // 5.196 standard errors better, of which 2.5 are needed: 0.15 · Φ(2.696) + 0.028868 · φ(2.696) = 0.14978, of a mean of 4.15.
    expect(compare(incumbent, challenger, tokens).expectedGain).toBeCloseTo(0.14978 / 4.15, 5);
    const twice = (losses: readonly number[]) => measured([...losses, ...losses]);
    const eight = new Array<number>(8).fill(1);
    expect(compare(twice([1.1, 5.2, 2.1, 8.2]), twice([1, 5, 2, 8]), eight).outcome).toBe('worse');
    expect(compare(twice([1, 5, 2, 8]), twice([1.1, 5.2, 2.1, 8.2]), eight).outcome).toBe('better');
  });

  it('expects the more, the more rows there are to show a difference on', () => {
    const pair = [measured([1, 5, 2, 8]), measured([1.1, 4.9, 2.1, 8.1])] as const;
    const gains = [4, 16, 256].map((rows) => compare(...pair, new Array<number>(rows).fill(1)).expectedGain);
    expect(gains[0]).toBeLessThan(gains[1]!);
    expect(gains[1]).toBeLessThan(gains[2]!);
  });

  it('compares the rows that both have', () => {
    const incumbent = measured([1, 2, 3, 4, 0, 0, 0, 0]);
    expect(compare(measured([0.5, 1.5, 2.5, 3.5]), incumbent, new Array<number>(8).fill(1)).outcome).toBe('better');
  });

  it('leaves one row undecided', () => {
    expect(compare(measured([1]), measured([9]), [1]).outcome).toBe('undecided');
  });

  /** Share of races that end with the wrong word, all stages taken, over difficult rows (heavy-tailed losses). */
  function wrong(gain: number, outcomes: readonly string[]): number {
    const random = Random.fromSeed(7);
    const trials = 3000;
    let count = 0;
    for (let trial = 0; trial < trials; trial++) {
      const tokens = Array.from({ length: 64 }, () => 1 + random.integer(3));
      const base = tokens.map((token) => token * Math.exp(random.normal()));
      const other = base.map((loss) => loss * (1 - gain + 0.3 * random.normal()));
      for (const rows of raceStages(64)) {
        const { outcome } = compare(measured(other.slice(0, rows)), measured(base.slice(0, rows)), tokens);
        if (outcome === 'undecided') continue;
        if (outcomes.includes(outcome)) count++;
        break;
      }
    }
    return count / trials;
  }

  it('is wrong in at most 5 % of races between equals, in either direction, and hardly ever about what is better', () => {
    expect(wrong(0, ['better'])).toBeLessThan(0.05);
    expect(wrong(0, ['worse'])).toBeLessThan(0.05);
    expect(wrong(0.1, ['worse'])).toBeLessThan(0.01);
  });

  it('decides most races where there is a difference of a quarter', () => {
    expect(wrong(0.25, ['better'])).toBeGreaterThan(0.9);
  });
});
