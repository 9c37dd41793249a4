import { rotaryFrequencies, type LayerType, type RopeConfig } from './rope.ts';

/** Sequences of a batch, one behind the other. */
export interface SequenceLengths {
  /** [sequences] tokens of each */
  readonly sequenceLengths: Int32Array;
  /** [sequences] tokens of the text that each begins; default: the same */
  readonly textLengths?: Int32Array;
}

/**
 * Rotary angles of every token's pairs, position · frequency in radians, float32 [tokens · pairs]. Kinds of scaling that
 * go by a text's length take each sequence by its own, so that no result depends on what lies beside it in the batch: as
 * transformers computes one row alone.
 */
export function rotaryAngles(
  config: RopeConfig,
  { sequenceLengths, textLengths = sequenceLengths }: SequenceLengths,
  layerType: LayerType,
): Float32Array {
  const known = new Map<number, Float32Array>();
  const frequenciesOf = (length: number) => {
    const frequencies = known.get(length) ?? rotaryFrequencies(config, length, layerType);
    known.set(length, frequencies);
    return frequencies;
  };
  const tokens = sequenceLengths.reduce((total, length) => total + length, 0);
  const pairs = frequenciesOf(textLengths[0]!).length;
  const angles = new Float32Array(tokens * pairs);
  let at = 0;
  sequenceLengths.forEach((length, sequence) => {
    const frequencies = frequenciesOf(textLengths[sequence]!);
    for (let position = 0; position < length; position++) {
      for (const frequency of frequencies) angles[at++] = position * frequency;
    }
  });
  return angles;
}
