import { createHash } from 'node:crypto';
import type { DatasetSplit } from './dataset-jsonl.ts';

/**
 * Assigns a split to a row of an uploaded dataset that names none: 80 % train, 10 % validation, 10 % test, by the first
 * four bytes of the SHA-256 of the prompt. The same prompt lands in the same split in every dataset and at every upload,
 * so that no test row is ever trained on.
 */
export function assignSplit(prompt: string): DatasetSplit {
  const share = createHash('sha256').update(prompt, 'utf8').digest().readUInt32BE(0) / 2 ** 32;
  if (share < 0.8) return 'train';
  return share < 0.9 ? 'validation' : 'test';
}
