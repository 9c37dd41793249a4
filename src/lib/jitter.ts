import { createHash } from 'node:crypto';

/**
 * Computes a factor from 0.9 to 1.1 for the delay of a retry, so that pieces of work which failed together are not
 * retried together. The factor depends only on the text, for example an identifier, so equal texts give equal factors.
 */
export function jitter(text: string): number {
  return 0.9 + (0.2 * createHash('sha256').update(text).digest().readUInt32BE(0)) / 2 ** 32;
}
