import { createHash } from 'node:crypto';

/**
 * Computes a factor from 0.9 to 1.1 for the delay of a retry, so that pieces of work which failed together are not
 * retried together. It depends on the text alone, for example an identifier: equal texts give equal factors.
 */
export function jitter(text: string): number {
  return 0.9 + (0.2 * createHash('sha256').update(text).digest().readUInt32BE(0)) / 2 ** 32;
}
