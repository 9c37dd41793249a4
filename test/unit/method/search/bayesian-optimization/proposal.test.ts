import { describe, expect, it } from 'vitest';
import { Random } from '../../../../../core/statistics/random.ts';
import { propose } from '../../../../../core/method/search/bayesian-optimization/proposal.ts';
import { Space, type Point } from '../../../../../core/method/search/bayesian-optimization/space.ts';
import type { SearchObservation } from '../../../../../core/method/search/bayesian-optimization/surrogate.ts';

interface Problem {
  readonly bounds: readonly (readonly [number, number])[];
  readonly optimum: number;
  readonly noise: number;
  f(point: Point): number;
}

/** Branin's function, with three minima of 0.397887. */
const BRANIN: Problem = {
  bounds: [
    [-5, 10],
    [0, 15],
  ],
  optimum: 0.397887,
  noise: 0,
  f: ([x, y]) =>
    (y! - (5.1 / (4 * Math.PI ** 2)) * x! ** 2 + (5 / Math.PI) * x! - 6) ** 2 +
    10 * (1 - 1 / (8 * Math.PI)) * Math.cos(x!) +
    10,
};

/** Typical loss over alpha and beta: flat along one, curved along the other, observed with noise. */
const NOISY_BOWL: Problem = {
  bounds: [
    [0, 1.5],
    [-1.25, 0.5],
  ],
  optimum: 0.6,
  noise: 0.01,
  f: ([x, y]) => 0.6 + 0.1 * (x! - 1.1) ** 2 + 0.5 * (y! + 0.8) ** 2,
};

const spaceOf = ({ bounds }: Problem) => new Space(bounds);
const smallest = (observations: readonly SearchObservation[]) =>
  observations.reduce((best, next) => (next.value < best.value ? next : best));

/** True value at the best observed point after the budget. */
function bayesian(problem: Problem, evaluations: number, seed: number): number {
  const noise = Random.fromSeed(seed + 1000);
  const space = spaceOf(problem);
  const observations: SearchObservation[] = [];
  let point: Point = problem.bounds.map(([low, high]) => (low + high) / 2);
  for (let i = 0; i < evaluations; i++) {
    observations.push({ point, value: problem.f(point) + problem.noise * noise.normal() });
    point = propose({ space, observations, seed }).point;
  }
  return problem.f(smallest(observations).point);
}

function randomSearch(problem: Problem, evaluations: number, seed: number): number {
  const random = Random.fromSeed(seed);
  const points = Array.from({ length: evaluations }, () =>
    problem.bounds.map(([low, high]) => low + random.uniform() * (high - low)),
  );
  const observed = points.map((point) => problem.f(point) + problem.noise * random.normal());
  return problem.f(points[observed.indexOf(Math.min(...observed))]!);
}

const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
const SEEDS = Array.from({ length: 15 }, (_, i) => i + 1);

const observed = (points: readonly Point[], f = NOISY_BOWL.f): SearchObservation[] =>
  points.map((point) => ({ point, value: f(point) }));
const START: readonly Point[] = [
  [1, 0],
  [1, -1],
  [0, 0],
];

describe('propose', () => {
  it.each([
    ['Branin', BRANIN, 20, 0.4],
    ['a noisy bowl', NOISY_BOWL, 12, 0.7],
  ])('beats random search of the same budget on %s (median of 15 seeds)', (_, problem, evaluations, share) => {
    const regret = (search: typeof bayesian) =>
      median(SEEDS.map((seed) => search(problem, evaluations, seed) - problem.optimum));
    expect(regret(bayesian)).toBeLessThan(share * regret(randomSearch));
  });

  it('stays in bounds, and gives the same point for the same observations', () => {
    const space = spaceOf(NOISY_BOWL);
    const observations = observed(START);
    for (let i = 0; i < 6; i++) {
      const { point } = propose({ space, observations, seed: 5 });
      expect(propose({ space, observations, seed: 5 }).point).toEqual(point);
      NOISY_BOWL.bounds.forEach(([low, high], j) => {
        expect(point[j]!).toBeGreaterThanOrEqual(low);
        expect(point[j]!).toBeLessThanOrEqual(high);
      });
      observations.push(...observed([point]));
    }
  });

  it('expects less and less as more is known', () => {
    const space = spaceOf(NOISY_BOWL);
    const observations = observed(START);
    const improvements: number[] = [];
    for (let i = 0; i < 12; i++) {
      const { point, improvement } = propose({ space, observations, seed: 5 });
      improvements.push(improvement);
      observations.push(...observed([point]));
    }
    expect(improvements.at(-1)!).toBeLessThan(improvements[0]! / 20);
  });

  it.each<[number, number]>([
    [2, 1],
    [1, 1],
    [0, Infinity],
    [NaN, 1],
  ])('refuses the bounds [%d, %d]', (low, high) => {
    expect(() => new Space([[low, high]])).toThrow(`bounds are [${low}, ${high}], expected finite numbers`);
  });

  it('copes with a flat function', () => {
    const { improvement } = propose({ space: spaceOf(NOISY_BOWL), observations: observed(START, () => 0.7), seed: 5 });
    expect(Number.isFinite(improvement)).toBe(true);
  });

  it('says that it knows too little of one point', () => {
    expect(propose({ space: spaceOf(NOISY_BOWL), observations: observed([[1, 0]]), seed: 5 }).improvement).toBe(
      Infinity,
    );
  });

  it('refuses a value that is no number', () => {
    const observations = [...observed(START), { point: [1, 0.1], value: NaN }];
    expect(() => propose({ space: spaceOf(NOISY_BOWL), observations, seed: 5 })).toThrow('value at (1, 0.1) is NaN');
  });
});
