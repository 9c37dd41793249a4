import { UnknownTokenError, type Tokenizer } from '../../../../core/formats/tokenizer/tokenizer.ts';

interface CharacterTokenizerOptions {
  /** Text in front of texts with special tokens. */
  readonly bos?: number;
  readonly eos?: number;
  /** Characters that are no tokens, such as spaces. */
  readonly skipped?: RegExp;
  /** Characters that the vocabulary cannot spell. */
  readonly refused?: RegExp;
}

/** Makes one token of each ASCII character: its code. Codes below 8 are special tokens. */
export function characterTokenizer(options: CharacterTokenizerOptions = {}): Tokenizer {
  const { bos, eos = null, skipped = /[^\s\S]/g, refused = /[^\s\S]/ } = options;
  return {
    vocabSize: 256,
    eosTokenId: eos,
    chatTemplate: null,
    encode(text, { addSpecialTokens = true } = {}) {
      if (refused.test(text)) throw new UnknownTokenError(text.search(refused) + 1);
      const ids = [...text.replaceAll(skipped, '')].map((character) => character.charCodeAt(0));
      return addSpecialTokens && bos !== undefined ? [bos, ...ids] : ids;
    },
    decode: (ids) => String.fromCharCode(...ids),
    bytesOf: (id) => Uint8Array.of(id),
    isSpecial: (id) => id < 8,
  };
}
