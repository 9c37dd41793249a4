import type { Tokenizer } from '../../formats/tokenizer/tokenizer.ts';
import type { Batch } from '../runtime.ts';
import { CALIBRATION_TEXTS } from './calibration-text.ts';

const MAX_TOKENS = 64;

/** Of each text, from its end; each has a row of logits. */
const LABELS = 8;

/**
 * The calibration texts as one batch whose labels are each text's last tokens. Texts that the vocabulary cannot spell are
 * left out.
 * @throws RangeError where that are all of them
 */
export function calibrationBatch(tokenizer: Tokenizer): Batch {
  const sequences = CALIBRATION_TEXTS.map((text) => encode(tokenizer, text)).filter(({ length }) => length > 1);
  if (sequences.length === 0) throw new RangeError('the vocabulary cannot spell any of the calibration texts');
  const lengths = sequences.map(({ length }) => length - 1);
  let start = 0;
  const labels = sequences.flatMap((ids, index) => {
    const first = Math.max(0, lengths[index]! - LABELS);
    const own = ids.slice(first + 1).map((id, offset) => ({ position: start + first + offset, id }));
    start += lengths[index]!;
    return own;
  });
  return {
    inputIds: Int32Array.from(sequences.flatMap((ids) => ids.slice(0, -1))),
    sequenceLengths: Int32Array.from(lengths),
    labelPositions: Int32Array.from(labels, ({ position }) => position),
    labelIds: Int32Array.from(labels, ({ id }) => id),
  };
}

function encode(tokenizer: Tokenizer, text: string): number[] {
  try {
    return tokenizer.encode(text).slice(0, MAX_TOKENS);
  } catch (error) {
    if (error instanceof RangeError) return [];
    throw error;
  }
}
