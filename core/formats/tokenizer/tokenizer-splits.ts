/** A pre-tokenizer as tokenizer.json spells it. */
interface PreTokenizerJson {
  readonly type?: unknown;
  readonly [field: string]: unknown;
}

/** The rule of GPT-2 that a `ByteLevel` step splits by (`ByteLevel` of the reference library). */
const GPT2_SPLIT = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/**
 * Spells the built-in splitting rules of a pre-tokenizer out as `Split` steps. The tokenizer package runs a built-in
 * rule as a JavaScript expression, where `\s` holds U+FEFF and lacks U+0085 and `\d` holds ASCII digits alone; the
 * expression of a `Split` step it translates, so that the classes are those of Unicode, as in the reference library.
 * @param json `pre_tokenizer` of tokenizer.json; what is not recognized is returned as it is
 */
export function spellOutSplits(json: unknown): unknown {
  if (typeof json !== 'object' || json === null) return json;
  const step = json as PreTokenizerJson;
  switch (step.type) {
    case 'Sequence':
      return Array.isArray(step.pretokenizers)
        ? { ...step, pretokenizers: step.pretokenizers.map(spellOutSplits) }
        : step;
    case 'ByteLevel':
      return step.use_regex === false ? step : byteLevelSteps(step);
    case 'Digits':
      return split(step.individual_digits === true ? '\\p{N}' : '\\p{N}+');
    default:
      return step;
  }
}

/** The leading space comes before the split, the bytes after it. */
function byteLevelSteps(step: PreTokenizerJson): PreTokenizerJson {
  // `$&` is the match: an expression that matches nothing but a place would do so within a surrogate pair as well.
  const prefix = { type: 'Replace', pattern: { Regex: '\\A[^ ]' }, content: ' $&' };
  const bytes = { ...step, add_prefix_space: false, use_regex: false };
  return {
    type: 'Sequence',
    pretokenizers: [...(step.add_prefix_space === true ? [prefix] : []), split(GPT2_SPLIT), bytes],
  };
}

function split(expression: string): PreTokenizerJson {
  return { type: 'Split', pattern: { Regex: expression }, behavior: 'Isolated', invert: false };
}
