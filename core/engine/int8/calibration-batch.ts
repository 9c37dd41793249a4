import type { Tokenizer } from '../../formats/tokenizer/tokenizer.ts';
import type { Batch } from '../runtime.ts';

/**
 * Text of several kinds that determines the smoothing of an int8 base and serves for the comparison of its losses. The
 * columns of activations with large values hardly depend on the text, so any varied text will do.
 */
const CALIBRATION_TEXTS: readonly string[] = [
  'The committee met on Thursday to discuss the new timetable, ' +
    'and nobody was surprised when the vote was put off again.',
  'Question: which of the two rivers is longer? Answer: the northern one, by about 120 kilometres.',
  'function add(a, b) {\n  return a + b; // adds two numbers\n}',
  'Shares of the company fell 4.7 percent to $31.20 in early trading after it cut its forecast for the third quarter.',
  'A dull film with one good joke, told twice; the actors look as tired as the audience.',
  '{"name": "Ada", "age": 36, "languages": ["en", "fr"], "active": true}',
  'She closed the door quietly, listened for a moment, and then walked down the stairs into the rain.',
  'Die Sitzung beginnt um neun Uhr. La réunion commence à neuf heures. La reunión empieza a las nueve.',
  '1. Heat the oven to 180 degrees. 2. Mix flour, sugar and butter. 3. Bake for 25 minutes.',
  'In physics, the momentum of a body is the product of its mass and its velocity: p = m v.',
  'The home team scored twice in the last ten minutes and won the cup for the first time since 1974.',
  'Dear customer, your order 48-2291 has left our warehouse and should arrive within three working days.',
];

/** Largest length of a calibration text in tokens; longer texts are cut. */
const MAX_TOKENS = 64;

/** Number of labels of each text, which are its last tokens; each costs a row of logits. */
const LABELS = 8;

/** Number of texts in the small batch, and their length limit in tokens. */
const SMALL = { count: 4, maxTokens: 24 };

/**
 * Makes one batch of the calibration texts. Texts that the vocabulary cannot spell are left out.
 * @throws RangeError if the vocabulary can spell none of them
 */
export function calibrationBatch(tokenizer: Tokenizer): Batch {
  return batchOf(encodeAll(tokenizer));
}

/**
 * Makes a smaller batch from the beginnings of some of the texts.
 * @throws RangeError like {@link calibrationBatch}
 */
export function smallCalibrationBatch(tokenizer: Tokenizer): Batch {
  const { count, maxTokens } = SMALL;
  return batchOf(
    encodeAll(tokenizer)
      .slice(0, count)
      .map((ids) => ids.slice(0, maxTokens)),
  );
}

function encodeAll(tokenizer: Tokenizer): number[][] {
  const texts = CALIBRATION_TEXTS.map((text) => encode(tokenizer, text)).filter(({ length }) => length > 1);
  if (texts.length > 0) return texts;
  throw new RangeError('the vocabulary cannot spell any of the calibration texts');
}

function batchOf(texts: readonly (readonly number[])[]): Batch {
  let start = 0;
  const labels = texts.flatMap((ids) => {
    const first = Math.max(0, ids.length - 1 - LABELS);
    const own = ids.slice(first + 1).map((id, offset) => ({ position: start + first + offset, id }));
    start += ids.length - 1;
    return own;
  });
  return {
    inputIds: Int32Array.from(texts.flatMap((ids) => ids.slice(0, -1))),
    sequenceLengths: Int32Array.from(texts, ({ length }) => length - 1),
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
