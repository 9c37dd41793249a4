import {
  dependsOnTextLength,
  LAYER_TYPES,
  rotaryFrequencies,
  rotaryPairs,
  type LayerType,
  type RopeConfig,
} from './rope.ts';

/** Lengths of the sequences that a batch concatenates, in tokens. */
interface SequenceLengths {
  /** [sequences] number of tokens of each sequence */
  readonly sequenceLengths: Int32Array;
  /** [sequences] number of tokens of the whole text of which a sequence is the beginning; default: `sequenceLengths` */
  readonly textLengths?: Int32Array;
}

/**
 * Computes the rotary angles of every token's pairs, position · frequency in radians, float32 [tokens · pairs]. If the
 * scaling depends on the text length, the angles of a sequence depend on the length of its own text alone, so that no
 * result depends on the rest of the batch. For a row alone, transformers gives the same angles.
 */
export function rotaryAngles(
  config: RopeConfig,
  { sequenceLengths, textLengths = sequenceLengths }: SequenceLengths,
  layerType: LayerType,
): Float32Array {
  const frequenciesOf = knownFrequencies(config, layerType);
  const tokens = sequenceLengths.reduce((total, length) => total + length, 0);
  const angles = new Float32Array(tokens * rotaryPairs(config.headDim, config.partialRotaryFactor));
  let at = 0;
  for (const [sequence, length] of sequenceLengths.entries()) {
    const frequencies = frequenciesOf(textLengths[sequence] ?? length);
    for (let position = 0; position < length; position++) {
      for (const frequency of frequencies) angles[at++] = position * frequency;
    }
  }
  return angles;
}

/**
 * Computes the rotary angles of tokens at the given positions, each of which is the last token of its text so far,
 * float32 [tokens · pairs].
 */
export function lastAngles(config: RopeConfig, positions: Int32Array, layerType: LayerType): Float32Array {
  const frequenciesOf = knownFrequencies(config, layerType);
  const pairs = rotaryPairs(config.headDim, config.partialRotaryFactor);
  const angles = new Float32Array(positions.length * pairs);
  for (const [token, position] of positions.entries()) {
    for (const [pair, frequency] of frequenciesOf(position + 1).entries()) {
      angles[token * pairs + pair] = position * frequency;
    }
  }
  return angles;
}

/** Whether a text's tokens keep their angles while the text grows from one length to another. */
export function keepsAngles(config: RopeConfig, from: number, to: number): boolean {
  if (from === to || !dependsOnTextLength(config)) return true;
  return LAYER_TYPES.every((type) => {
    const [before, after] = [rotaryFrequencies(config, from, type), rotaryFrequencies(config, to, type)];
    return before.every((frequency, pair) => frequency === after[pair]);
  });
}

/** Returns a memoized function from a text's length to the frequencies. */
function knownFrequencies(config: RopeConfig, layerType: LayerType): (textLength: number) => Float32Array {
  const known = new Map<number, Float32Array>();
  return (textLength) => {
    const length = dependsOnTextLength(config) ? textLength : 0;
    const frequencies = known.get(length) ?? rotaryFrequencies(config, length, layerType);
    known.set(length, frequencies);
    return frequencies;
  };
}
