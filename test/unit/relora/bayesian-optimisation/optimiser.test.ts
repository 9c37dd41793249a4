import { describe, expect, it } from 'vitest';
import { Random } from '../../../../workers/models/random.ts';
import {
  BayesianOptimiser,
  type OptimiserOptions,
  type OptimiserState,
  type Point,
} from '../../../../workers/relora/bayesian-optimisation/optimiser.ts';

interface Problem {
  readonly bounds: readonly (readonly [number, number])[];
  readonly optimum: number;
  readonly noise: number;
  f(point: Point): number;
}

/** Three minima of 0.397887. */
const BRANIN: Problem = {
  bounds: [[-5, 10], [0, 15]],
  optimum: 0.397887,
  noise: 0,
  f: ([x, y]) =>
    (y! - (5.1 / (4 * Math.PI ** 2)) * x! ** 2 + (5 / Math.PI) * x! - 6) ** 2 + 10 * (1 - 1 / (8 * Math.PI)) * Math.cos(x!) + 10,
};

/** The shape of a loss over alpha and beta: flat along one, curved along the other, observed with noise. */
const NOISY_BOWL: Problem = {
  bounds: [[0, 1.5], [-1.25, 0.5]],
  optimum: 0.6,
  noise: 0.01,
  f: ([x, y]) => 0.6 + 0.1 * (x! - 1.1) ** 2 + 0.5 * (y! + 0.8) ** 2,
};

/** True value at the point that looked best after the budget. */
function bayesian(problem: Problem, evaluations: number, seed: number): number {
  const noise = Random.fromSeed(seed + 1000);
  const start = problem.bounds.map(([low, high]) => (low + high) / 2);
  const optimiser = new BayesianOptimiser({
    bounds: problem.bounds,
    startingPoints: [start],
    maxEvaluations: evaluations,
    minimumImprovement: 0,
    seed,
  });
  for (let point = optimiser.ask(); point; point = optimiser.ask()) {
    optimiser.tell(point, problem.f(point) + problem.noise * noise.normal());
  }
  return problem.f(optimiser.best!.point);
}

function randomSearch(problem: Problem, evaluations: number, seed: number): number {
  const random = Random.fromSeed(seed);
  const points = Array.from({ length: evaluations }, () => problem.bounds.map(([low, high]) => low + random.uniform() * (high - low)));
  const observed = points.map((point) => problem.f(point) + problem.noise * random.normal());
  return problem.f(points[observed.indexOf(Math.min(...observed))]!);
}

const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
const SEEDS = Array.from({ length: 15 }, (_, i) => i + 1);

describe('BayesianOptimiser', () => {
  it.each([
    ['Branin', BRANIN, 20, 0.4],
    ['a noisy bowl', NOISY_BOWL, 12, 0.7],
  ])('beats random search of the same budget on %s (median of 15 seeds)', (_, problem, evaluations, share) => {
    const regret = (search: typeof bayesian) => median(SEEDS.map((seed) => search(problem, evaluations, seed) - problem.optimum));
    expect(regret(bayesian)).toBeLessThan(share * regret(randomSearch));
  });

  const options: OptimiserOptions = {
    bounds: NOISY_BOWL.bounds,
    startingPoints: [[1, 0], [1, -1], [0, 0]],
    maxEvaluations: 10,
    minimumImprovement: 0,
    seed: 5,
  };

  function run(optimiser: BayesianOptimiser, steps: number): Point[] {
    const asked: Point[] = [];
    for (let i = 0; i < steps; i++) {
      const point = optimiser.ask()!;
      asked.push(point);
      optimiser.tell(point, NOISY_BOWL.f(point));
    }
    return asked;
  }

  it('asks for the starting points first, then stays in bounds until the budget is used', () => {
    const optimiser = new BayesianOptimiser(options);
    const asked = run(optimiser, 10);
    expect(asked.slice(0, 3)).toEqual(options.startingPoints);
    for (const point of asked) {
      options.bounds.forEach(([low, high], i) => {
        expect(point[i]!).toBeGreaterThanOrEqual(low);
        expect(point[i]!).toBeLessThanOrEqual(high);
      });
    }
    expect(optimiser.ask()).toBeNull();
    expect(optimiser.stopReason).toBe('budget');
    expect(optimiser.best!.value).toBe(Math.min(...asked.map((point) => NOISY_BOWL.f(point))));
  });

  it('goes on from its JSON as if it had not been interrupted', () => {
    const whole = run(new BayesianOptimiser(options), 9);
    const first = new BayesianOptimiser(options);
    run(first, 5);
    const state = JSON.parse(JSON.stringify(first)) as OptimiserState;
    expect(run(BayesianOptimiser.fromJSON(state), 4)).toEqual(whole.slice(5));
  });

  it('stops before the budget where nothing is left to gain', () => {
    const optimiser = new BayesianOptimiser({ ...options, maxEvaluations: 60, minimumImprovement: 1e-3 });
    let evaluations = 0;
    for (let point = optimiser.ask(); point; point = optimiser.ask(), evaluations++) optimiser.tell(point, NOISY_BOWL.f(point));
    expect(optimiser.stopReason).toBe('no_improvement');
    expect(evaluations).toBeLessThan(30);
    expect(optimiser.best!.value).toBeLessThan(NOISY_BOWL.optimum + 0.01);
  });

  it('copes with a flat function', () => {
    const optimiser = new BayesianOptimiser(options);
    for (const start of options.startingPoints) optimiser.tell(start, 0.7);
    const next = optimiser.ask();
    expect(next).not.toBeNull();
    expect(optimiser.ask()).toEqual(next);
  });

  it('refuses a value that is no number', () => {
    expect(() => new BayesianOptimiser(options).tell([1, 0], NaN)).toThrow('value at (1, 0) is NaN');
  });
});
