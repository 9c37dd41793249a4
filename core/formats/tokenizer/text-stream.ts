import type { DecodeOptions, Tokenizer } from './tokenizer.ts';

const UNFINISHED = '\uFFFD';

/**
 * Turns tokens into text as they come. The pieces of text together are the text of all tokens; a piece is held back while
 * it ends within a character. Each piece is found by decoding only the last tokens, since the text of a token may depend
 * on the one before it.
 */
export class TextStream {
  readonly #tokenizer: Pick<Tokenizer, 'decode'>;
  readonly #options: DecodeOptions;
  /** The last tokens whose text was handed out, and behind them those whose text was not. */
  #ids: number[] = [];
  /** The text of the former, as it is without the latter. */
  #known = '';
  #knownIds = 0;

  constructor(tokenizer: Pick<Tokenizer, 'decode'>, options: DecodeOptions = {}) {
    this.#tokenizer = tokenizer;
    this.#options = options;
  }

  /** Takes the next token and returns the text that is now certain. */
  push(id: number): string {
    this.#ids.push(id);
    const text = this.#tokenizer.decode(this.#ids, this.#options);
    if (text.endsWith(UNFINISHED) || text.length <= this.#known.length) return '';
    const piece = text.slice(this.#known.length);
    this.#ids = this.#ids.slice(this.#knownIds);
    this.#knownIds = this.#ids.length;
    this.#known = this.#tokenizer.decode(this.#ids, this.#options);
    return piece;
  }

  /** Returns the text that was held back. */
  end(): string {
    return this.#tokenizer.decode(this.#ids, this.#options).slice(this.#known.length);
  }
}
