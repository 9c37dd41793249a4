import { describe, expect, it } from 'vitest';
import { Random } from '../../../../../core/statistics/random.ts';
import { expectedImprovement } from '../../../../../core/method/search/bayesian-optimization/proposal.ts';
import { fitGaussianProcess } from '../../../../../core/method/search/bayesian-optimization/fit-gaussian-process.ts';
import {
  GaussianProcess,
  matern52,
  type Hyperparameters,
} from '../../../../../core/method/search/bayesian-optimization/gaussian-process.ts';
import { nelderMead } from '../../../../../core/method/search/bayesian-optimization/nelder-mead.ts';
import { normalDensity, normalDistribution } from '../../../../../core/statistics/distributions.ts';

const HYPERPARAMETERS: Hyperparameters = { lengthScale: 0.5, signalVariance: 1.3, noiseVariance: 0.02 };

/**
 * Inverse and determinant by Gauss–Jordan elimination, which is independent of the Cholesky decomposition under test.
 */
function invert(a: number[][]): { inverse: number[][]; determinant: number } {
  const n = a.length;
  const work = a.map((row, i) => [...row, ...Array.from({ length: n }, (_, j) => (i === j ? 1 : 0))]);
  let determinant = 1;
  for (let i = 0; i < n; i++) {
    const pivot = work[i]![i]!;
    determinant *= pivot;
    for (let j = 0; j < 2 * n; j++) work[i]![j]! /= pivot;
    for (let k = 0; k < n; k++) {
      if (k === i) continue;
      const factor = work[k]![i]!;
      for (let j = 0; j < 2 * n; j++) work[k]![j]! -= factor * work[i]![j]!;
    }
  }
  return { inverse: work.map((row) => row.slice(n)), determinant };
}

const quadratic = (x: readonly number[], a: readonly number[][], y: readonly number[]) =>
  x.reduce((sum, xi, i) => sum + xi * a[i]!.reduce((inner, aij, j) => inner + aij * y[j]!, 0), 0);

describe('GaussianProcess', () => {
  it('has the Matérn 5/2 kernel: a value worked by hand', () => {
    const kernel = { lengthScale: 2, signalVariance: 3, noiseVariance: 0 };
    // r = √5 · |1 − 0| / 2 = 1.1180340; 3 · (1 + r + r²/3) · e^(−r)
    expect(matern52([0], [1], kernel)).toBeCloseTo(2.4859474, 6);
    expect(matern52([0.3], [0.3], kernel)).toBe(3);
  });

  it('has one observation worked by hand: k / (k + noise) of it', () => {
    const process = new GaussianProcess([[0.5]], [2], { lengthScale: 1, signalVariance: 1, noiseVariance: 0.25 });
    const { mean, variance } = process.predict([0.5]);
    expect(mean).toBeCloseTo(1.6, 12);
    expect(variance).toBeCloseTo(0.2, 12);
    expect(process.logMarginalLikelihood).toBeCloseTo(-0.5 * (4 / 1.25 + Math.log(1.25) + Math.log(2 * Math.PI)), 12);
  });

  it('agrees with the textbook formulae by a dense inverse', () => {
    const random = Random.fromSeed(1);
    const inputs = Array.from({ length: 7 }, () => [random.uniform(), random.uniform()]);
    const outputs = inputs.map(([x, y]) => Math.sin(5 * x!) + y! ** 2);
    const process = new GaussianProcess(inputs, outputs, HYPERPARAMETERS);
    const noisy = inputs.map((x, i) => inputs.map((y, j) => matern52(x, y, HYPERPARAMETERS) + (i === j ? 0.02 : 0)));
    const { inverse, determinant } = invert(noisy);
    const likelihood =
      -0.5 * (quadratic(outputs, inverse, outputs) + Math.log(determinant) + 7 * Math.log(2 * Math.PI));
    expect(process.logMarginalLikelihood).toBeCloseTo(likelihood, 9);
    for (const point of [[0.1, 0.9], [0.5, 0.5], inputs[3]!]) {
      const cross = inputs.map((input) => matern52(input, point, HYPERPARAMETERS));
      const { mean, variance } = process.predict(point);
      expect(mean).toBeCloseTo(quadratic(cross, inverse, outputs), 9);
      expect(variance).toBeCloseTo(1.3 - quadratic(cross, inverse, cross), 9);
    }
  });

  it('refuses repeated points without noise', () => {
    const noiseless = { lengthScale: 1, signalVariance: 1, noiseVariance: 0 };
    expect(() => new GaussianProcess([[0.2], [0.2]], [1, 2], noiseless)).toThrow('not positive definite');
  });

  it('fits: smooth data get little noise and predict between points, pure noise gets much', () => {
    const random = Random.fromSeed(2);
    const inputs = Array.from({ length: 30 }, () => [random.uniform()]);
    const smooth = fitGaussianProcess(
      inputs,
      inputs.map(([x]) => Math.sin(6 * x!)),
    );
    expect(smooth.predict([0.37]).mean).toBeCloseTo(Math.sin(6 * 0.37), 1);
    expect(smooth.hyperparameters.noiseVariance).toBeLessThan(1e-3);
    const noise = fitGaussianProcess(
      inputs,
      inputs.map(() => random.normal()),
    );
    expect(noise.hyperparameters.noiseVariance).toBeGreaterThan(0.1);
  });
});

describe('the normal distribution', () => {
  it.each([
    [0, 0.5],
    [1, 0.8413447460685429],
    [-1.959963984540054, 0.025],
    [-6, 9.865876450376946e-10],
    // oxlint-disable-next-line no-loss-of-precision -- all digits that were computed
    [-10, 7.619853024160526e-24],
    [4.999999, 1 - 2.86653e-7],
  ])('has Φ(%f) = %f', (x, expected) => {
    expect(Math.abs(normalDistribution(x) / expected - 1)).toBeLessThan(1e-10);
  });

  it('is continuous where the series hands over to the continued fraction', () => {
    expect(normalDistribution(-5 - 1e-9) / normalDistribution(-5 + 1e-9)).toBeCloseTo(1, 7);
  });
});

describe('expectedImprovement', () => {
  it.each([
    [0, 1, 0],
    [1, 0.5, 0.2],
    [-0.3, 0.1, 0.4],
    [2, 0.4, 0.1],
  ])('for mean %f, sd %f, best %f is the integral of its definition', (mean, sd, best) => {
    // ∫ (best − f) p(f) df by Simpson's rule over ten deviations below best.
    const low = mean - 10 * sd;
    const intervals = 20_000;
    const width = (best - low) / intervals;
    let integral = 0;
    for (let i = 0; i <= intervals; i++) {
      const f = low + i * width;
      const weight = i === 0 || i === intervals ? 1 : i % 2 ? 4 : 2;
      integral += weight * (best - f) * (normalDensity((f - mean) / sd) / sd);
    }
    expect(expectedImprovement(mean, sd, best)).toBeCloseTo((integral * width) / 3, 8);
  });

  it('is the plain improvement without uncertainty, and never negative', () => {
    expect(expectedImprovement(1, 0, 3)).toBe(2);
    expect(expectedImprovement(3, 0, 1)).toBe(0);
    expect(expectedImprovement(100, 0.1, 0)).toBeGreaterThanOrEqual(0);
  });
});

describe('nelderMead', () => {
  const bounds = [
    [-2, 2],
    [-2, 2],
  ] as const;

  it('finds the minimum of the Rosenbrock valley', () => {
    const rosenbrock = ([x, y]: readonly number[]) => (1 - x!) ** 2 + 100 * (y! - x! ** 2) ** 2;
    const { point } = nelderMead(rosenbrock, [-1.2, 1], { bounds, maxIterations: 400, tolerance: 1e-14 });
    expect(point[0]).toBeCloseTo(1, 4);
    expect(point[1]).toBeCloseTo(1, 4);
  });

  it('stays inside the box where the minimum lies outside', () => {
    const { point } = nelderMead(([x, y]) => (x! - 5) ** 2 + y! ** 2, [0, 1], { bounds, maxIterations: 300 });
    expect(point[0]).toBeCloseTo(2, 4);
    expect(point[1]).toBeCloseTo(0, 2);
  });
});
