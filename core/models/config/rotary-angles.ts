import { rotaryFrequencies, rotaryPairs, type LayerType, type RopeConfig } from './rope.ts';

/** The lengths of a batch's sequences, which lie one behind the other. */
interface SequenceLengths {
  /** [sequences] number of tokens of each */
  readonly sequenceLengths: Int32Array;
  /** [sequences] number of tokens of the text that each sequence is the beginning of; default: the same */
  readonly textLengths?: Int32Array;
}

/**
 * Computes the rotary angles of every token's pairs, position · frequency in radians, float32 [tokens · pairs]. Where the
 * scaling depends on a text's length, each sequence goes by its own, so that no result depends on what else is in the
 * batch; transformers computes a row alone the same way.
 */
export function rotaryAngles(
  config: RopeConfig,
  { sequenceLengths, textLengths = sequenceLengths }: SequenceLengths,
  layerType: LayerType,
): Float32Array {
  const known = new Map<number, Float32Array>();
  const tokens = sequenceLengths.reduce((total, length) => total + length, 0);
  const angles = new Float32Array(tokens * rotaryPairs(config.headDim, config.partialRotaryFactor));
  let at = 0;
  for (const [sequence, length] of sequenceLengths.entries()) {
    const textLength = textLengths[sequence] ?? length;
    const frequencies = known.get(textLength) ?? rotaryFrequencies(config, textLength, layerType);
    known.set(textLength, frequencies);
    for (let position = 0; position < length; position++) {
      for (const frequency of frequencies) angles[at++] = position * frequency;
    }
  }
  return angles;
}
