import { normalDensity, normalDistribution } from '../../../statistics/distributions.ts';

/**
 * Expected Improvement for minimization: E[max(0, best − f)] with f ~ N(mean, sd²)
 * (Jones, Schonlau and Welch, Efficient global optimization of expensive black-box functions, 1998, eq. 15).
 */
export function expectedImprovement(mean: number, sd: number, best: number): number {
  if (sd <= 0) return Math.max(0, best - mean);
  const z = (best - mean) / sd;
  return Math.max(0, (best - mean) * normalDistribution(z) + sd * normalDensity(z));
}
