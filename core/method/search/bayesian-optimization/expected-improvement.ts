import { normalDensity, normalDistribution } from '../../../statistics/distributions.ts';

/**
 * Expected Improvement for minimization: E[max(0, best − f)] with f ~ N(mean, sd²)
 * (Jones, Schonlau and Welch, Efficient global optimization of expensive black-box functions, 1998, eq. 15).
 * @param margin improvements up to this size count as none: E[(best − f) · 1{best − f > margin}]
 */
export function expectedImprovement(mean: number, sd: number, best: number, margin = 0): number {
  if (sd <= 0) return best - mean > margin ? best - mean : 0;
  const z = (best - margin - mean) / sd;
  return Math.max(0, (best - mean) * normalDistribution(z) + sd * normalDensity(z));
}
