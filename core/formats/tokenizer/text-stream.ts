import type { DecodeOptions, Tokenizer } from './tokenizer.ts';

const UNFINISHED = '\uFFFD';

/**
 * Incremental decoder that turns tokens into text as they arrive. The pieces concatenate to the text of all tokens; a
 * piece is held back while it ends within a character. Only the last tokens are decoded for each piece, which suffices
 * because the text of a token depends at most on the token before it.
 */
export class TextStream {
  readonly #tokenizer: Pick<Tokenizer, 'decode'>;
  readonly #options: DecodeOptions;
  /** Tokens of the last returned piece, followed by those whose text has not been returned. */
  #ids: number[] = [];
  /** Text of the last returned piece's tokens, decoded without the tokens before them. */
  #known = '';
  #knownIds = 0;

  constructor(tokenizer: Pick<Tokenizer, 'decode'>, options: DecodeOptions = {}) {
    this.#tokenizer = tokenizer;
    this.#options = options;
  }

  /** Adds the next token. Returns the new text that later tokens cannot change; empty if there is none yet. */
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

  /** Returns the rest of the text, which {@link push} has held back until now. */
  end(): string {
    return this.#tokenizer.decode(this.#ids, this.#options).slice(this.#known.length);
  }
}
