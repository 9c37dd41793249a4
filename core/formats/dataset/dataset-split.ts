import { createHash } from 'node:crypto';
import type { DatasetSplit } from './dataset-row.ts';

/**
 * Chooses the split of a row in a dataset whose rows name none: 80 % training, 10 % search and 10 % gate rows, by the
 * first four bytes of the SHA-256 of the prompt. A prompt gets the same split in every dataset and at every upload, so
 * no gate row has ever been used for training.
 */
export function assignSplit(prompt: string): DatasetSplit {
  const share = createHash('sha256').update(prompt, 'utf8').digest().readUInt32BE(0) / 2 ** 32;
  if (share < 0.8) return 'training';
  return share < 0.9 ? 'search' : 'gate';
}
