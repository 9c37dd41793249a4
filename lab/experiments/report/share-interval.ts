import { lowerBoundOfShare } from '../../../core/statistics/binomial-test.ts';

/**
 * Two-sided 95 % interval of a share (Clopper and Pearson, Biometrika 26, 1934, 404–413). A fractional count is rounded
 * down for the lower end and up for the upper one, which only widens the interval.
 * @param count in [0, trials]
 */
export function intervalOfShare(count: number, trials: number): [number, number] {
  const lower = (right: number) => (right <= 0 ? 0 : lowerBoundOfShare({ right, rows: trials }, 0.025));
  return [lower(Math.floor(count)), 1 - lower(trials - Math.ceil(count))];
}

/** Count of an outcome among the jobs of one tenant. */
export interface TenantCount {
  readonly count: number;
  readonly of: number;
}

/**
 * Mean of the tenants' shares, with the interval that a single job of each would give. Jobs of one tenant share its
 * adapter and its gate rows, and nothing is assumed about how much alike they are: a tenant counts once, however many
 * jobs it has. That is exact if all jobs of a tenant have the same outcome, and too wide the less they do.
 * @returns null without a tenant that has jobs
 */
export function shareOverTenants(tenants: readonly TenantCount[]): { mean: number; interval: [number, number] } | null {
  const shares = tenants.filter(({ of }) => of > 0).map(({ count, of }) => count / of);
  if (shares.length === 0) return null;
  const sum = shares.reduce((total, share) => total + share, 0);
  return { mean: sum / shares.length, interval: intervalOfShare(sum, shares.length) };
}
