import { createHash } from 'node:crypto';

/**
 * Factor from 0.9 to 1.1 that spreads retries over time, so that work which failed together is not retried together.
 * Equal texts give equal factors.
 */
export function jitter(text: string): number {
  return 0.9 + (0.2 * createHash('sha256').update(text).digest().readUInt32BE(0)) / 2 ** 32;
}
