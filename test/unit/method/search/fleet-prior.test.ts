import { describe, expect, it } from 'vitest';
import { Random } from '../../../../core/statistics/random.ts';
import { searchSpace } from '../../../../core/method/search/search-task.ts';
import { COPY, REVERT } from '../../../../core/method/fusion/coefficients.ts';
import { bestOfFleet, fleetObservations } from '../../../../core/method/search/fleet-prior.ts';
import type { SearchRecord } from '../../../../core/method/search/relative-losses.ts';
import { SyntheticSearch, type Surface } from '../support/synthetic-search.ts';

const SPACE = searchSpace();
const surface = (seed: number, more: Partial<Surface> = {}): Surface => {
  const random = Random.fromSeed(seed + 40);
  const best = { alpha: 1.1 + 0.05 * random.normal(), beta: -0.7 + 0.05 * random.normal() };
  return { best, curvature: { alpha: 0.2, beta: 1.2 }, seed, ...more };
};

/** Twenty alike adapters one after the other, each with what those before it found. */
async function rollout(withFleet: boolean) {
  const searches: SearchRecord[][] = [];
  const jobs: { rows: number; evaluations: number; excess: number }[] = [];
  for (let seed = 1; seed <= 20; seed++) {
    const synthetic = new SyntheticSearch(surface(seed));
    const found = await synthetic.search({ fleet: withFleet ? searches : [] });
    searches.push(synthetic.history);
    const excess = synthetic.loss(found) / synthetic.loss(surface(seed).best) - 1;
    jobs.push({ rows: synthetic.rowsMeasured, evaluations: synthetic.history.length, excess });
  }
  return jobs;
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('a fleet', () => {
  it('of twenty searches less and less, and finds as much as without what it learns', async () => {
    const [learning, alone] = [await rollout(true), await rollout(false)];
    const rows = (jobs: typeof alone, from: number) => mean(jobs.slice(from, from + 5).map((job) => job.rows));
    expect(rows(learning, 15)).toBeLessThan(0.75 * rows(learning, 0));
    expect(rows(learning, 15)).toBeLessThan(rows(alone, 15) / 2);
    expect(mean(learning.slice(15).map(({ excess }) => excess))).toBeLessThan(
      mean(alone.slice(15).map(({ excess }) => excess)) + 0.02,
    );
  });

  it('that was misled costs a stranger some rows and no quality', async () => {
    const searches: SearchRecord[][] = [];
    for (let seed = 1; seed <= 5; seed++) {
      const synthetic = new SyntheticSearch(surface(seed, { best: REVERT }));
      await synthetic.search({ fleet: searches });
      searches.push(synthetic.history);
    }
    const stranger = new SyntheticSearch(surface(9, { best: { alpha: 1, beta: -0.02 } }));
    expect(await stranger.search({ fleet: searches })).toMatchObject(COPY);
  });

  it('gives the same search for the same seed and the same earlier searches', async () => {
    const first = new SyntheticSearch(surface(1));
    await first.search();
    const run = async () => {
      const second = new SyntheticSearch(surface(2));
      const found = await second.search({ fleet: [first.history] });
      return { found, history: second.history };
    };
    expect(await run()).toEqual(await run());
  });
});

describe('bestOfFleet', () => {
  it('is where the finished searches found the smallest losses', async () => {
    const searches: SearchRecord[][] = [];
    for (let seed = 1; seed <= 4; seed++) {
      const synthetic = new SyntheticSearch(surface(seed));
      await synthetic.search();
      searches.push(synthetic.history);
    }
    const next = new SyntheticSearch(surface(5));
    const best = bestOfFleet(searches, SPACE)!;
    expect(next.loss(best)).toBeLessThan(1.03 * next.loss(surface(5).best));
  });

  it('is called by its name where it has one', async () => {
    const synthetic = new SyntheticSearch({ best: REVERT, curvature: { alpha: 0.05, beta: 1 } });
    await synthetic.search();
    expect(bestOfFleet([synthetic.history], SPACE, [COPY, REVERT])).toEqual(REVERT);
  });

  it('is no named point outside of where is searched', async () => {
    const synthetic = new SyntheticSearch({ best: REVERT, curvature: { alpha: 2, beta: 1 } });
    await synthetic.search();
    const half = searchSpace({ betaBounds: [-0.5, 0.5] });
    expect(bestOfFleet([synthetic.history], half, [COPY, REVERT])!.beta).toBeGreaterThanOrEqual(-0.5);
  });

  it('is not known without finished searches', () => {
    expect(bestOfFleet([], SPACE)).toBeNull();
    expect(bestOfFleet([[{ ...COPY, rows: 16, loss: 1 }]], SPACE)).toBeNull();
  });
});

describe('fleetObservations', () => {
  const record = (beta: number, loss: number): SearchRecord => ({ alpha: 1, beta, rows: 16, loss });
  /** Of so many points, revert not among them. */
  const search = (points: number): SearchRecord[] =>
    Array.from({ length: points }, (_, i) => record(-i / points, 1 + i));
  const reverted = (loss: number, points: number): SearchRecord[] => [...search(points - 1), record(-1, loss)];

  it('takes the searches that say most, whole, as far as they fit', () => {
    const { others, contexts } = fleetObservations([search(2), search(1), search(20), search(30), search(18)]);
    expect(others.map((points) => points.length)).toEqual([30, 18]);
    expect(contexts).toBeUndefined();
  });

  it('takes those to which a revert does the most alike, where that is known', () => {
    const searches = [
      reverted(1, 30),
      reverted(0.5, 20),
      search(40),
      reverted(0.45, 20),
      reverted(0.1, 5),
      reverted(0.4, 8),
    ];
    const { observations, others, contexts } = fleetObservations(searches, [record(0, 2), record(-1, 0.9)]);
    expect(observations.map(({ value }) => value)).toEqual([0, expect.closeTo(Math.log(0.45))]);
    expect(others.map((points) => points.length)).toEqual([20, 20, 8]);
    expect(contexts!.map(Math.exp)).toEqual([0.45, 0.45, 0.5, 0.4].map((value) => expect.closeTo(value) as number));
  });

  it('leaves out what is of other kinds', async () => {
    const kinds = [
      { alpha: 1.1, beta: -1.1 },
      { alpha: 0.9, beta: -0.2 },
    ];
    const make = (kind: number, seed: number) =>
      new SyntheticSearch({ best: kinds[kind]!, curvature: { alpha: 0.3, beta: 1.2 }, seed });
    const searches: SearchRecord[][] = [];
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const synthetic = make(seed % 2, seed);
      await synthetic.search();
      searches.push(synthetic.history);
    }
    for (const kind of [0, 1]) {
      const next = make(kind, 9 + kind);
      const own = [COPY, REVERT].map((point) => ({ ...point, rows: 64, loss: next.loss(point) }));
      const best = bestOfFleet(searches, SPACE, [], own)!;
      expect(next.loss(best)).toBeLessThan(1.03 * next.loss(kinds[kind]!));
      expect(Math.abs(best.beta - kinds[kind]!.beta)).toBeLessThan(0.25);
    }
  });
});
