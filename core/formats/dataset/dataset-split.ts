import { createHash } from 'node:crypto';
import type { DatasetSplit } from './dataset-jsonl.ts';

/**
 * The split of a row in a dataset whose rows name none: 80 % train, 10 % validation, 10 % test, by the first four bytes
 * of the SHA-256 of the prompt. The same prompt is always in the same split, in every dataset and at every upload, so
 * that no test row is trained on.
 */
export function assignSplit(prompt: string): DatasetSplit {
  const share = createHash('sha256').update(prompt, 'utf8').digest().readUInt32BE(0) / 2 ** 32;
  if (share < 0.8) return 'train';
  return share < 0.9 ? 'validation' : 'test';
}
