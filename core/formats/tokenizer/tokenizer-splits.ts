import { isObject, type JsonObject } from '../json.ts';

/**
 * Regular expression of GPT-2's splitting rule, which a `ByteLevel` step applies (from `ByteLevel` of the reference
 * library).
 */
const GPT2_SPLIT = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/**
 * Replaces the built-in splitting rules of a pre-tokenizer by equivalent `Split` steps. The tokenizer package runs a
 * built-in rule as a JavaScript expression, in which `\s` contains U+FEFF but not U+0085, and `\d` contains only ASCII
 * digits. It translates the expression of a `Split` step, so that its character classes are Unicode's, as in the
 * reference library.
 * @param json `pre_tokenizer` of tokenizer.json; unknown steps are returned unchanged
 */
export function spellOutSplits(json: unknown): unknown {
  if (!isObject(json)) return json;
  switch (json['type']) {
    case 'Sequence': {
      const { pretokenizers } = json;
      return Array.isArray(pretokenizers) ? { ...json, pretokenizers: pretokenizers.map(spellOutSplits) } : json;
    }
    case 'ByteLevel':
      return json['use_regex'] === false ? json : byteLevelSteps(json);
    case 'Digits':
      return split(json['individual_digits'] === true ? '\\p{N}' : '\\p{N}+');
    default:
      return json;
  }
}

/** Spells out a `ByteLevel` step: the leading space is added before the split, and the text becomes bytes after it. */
function byteLevelSteps(step: JsonObject): JsonObject {
  // `$&` is the matched text. An expression that matches only a position would also match within a surrogate pair.
  const prefix = { type: 'Replace', pattern: { Regex: '\\A[^ ]' }, content: ' $&' };
  const bytes = { ...step, add_prefix_space: false, use_regex: false };
  return {
    type: 'Sequence',
    pretokenizers: [...(step['add_prefix_space'] === true ? [prefix] : []), split(GPT2_SPLIT), bytes],
  };
}

function split(expression: string): JsonObject {
  return { type: 'Split', pattern: { Regex: expression }, behavior: 'Isolated', invert: false };
}
