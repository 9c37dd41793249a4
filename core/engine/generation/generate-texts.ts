import { TextStream } from '../../formats/tokenizer/text-stream.ts';
import type { Tokenizer } from '../../formats/tokenizer/tokenizer.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { Runtime } from '../runtime.ts';
import { generateGreedily, type GenerationOptions, type GenerationRequest, type StopReason } from './greedy.ts';

/** Parts of a loaded base that generation uses. */
export interface GeneratingBase {
  readonly runtime: Runtime;
  readonly tokenizer: Pick<Tokenizer, 'decode'>;
  /** Ids of the tokens that end a text. */
  readonly endOfTextIds: readonly number[];
}

export interface GeneratedText {
  /** Generated text without special tokens, up to the stop string if there is one. */
  readonly text: string;
  /** All generated tokens, including the end-of-text token and those of a stop string. */
  readonly tokenIds: readonly number[];
  readonly stop: StopReason;
  /**
   * Number of tokens that a single generation step had to choose during the draft, because two tokens were equally
   * probable up to rounding.
   */
  readonly nearTies: number;
}

export interface TextOptions extends Pick<GenerationOptions, 'cacheBytes' | 'maxRows' | 'signal'> {
  /** Strings that end a text; the text ends just before the first of them. Default: none. */
  readonly stopStrings?: readonly string[];
  /**
   * Function that receives a request's text so far after each token. It returns true if the rest of the text does not
   * matter, and the text then ends there. Default: every text is generated to its end.
   */
  readonly isSettled?: (request: number, text: string) => boolean;
  /**
   * Function that receives each piece of a request's text as soon as it is certain. The pieces concatenate to the text.
   */
  readonly onText?: (request: number, piece: string) => void;
}

/**
 * Continues prompts by greedy decoding, and converts the tokens to text.
 * @returns one result for each request, in their order
 * @throws RangeError for a request without a prompt token or a new token, or an empty stop string
 */
export async function generateTexts(
  { runtime, tokenizer, endOfTextIds }: GeneratingBase,
  adapter: Adapter | null,
  requests: readonly GenerationRequest[],
  { stopStrings = [], isSettled, onText, ...options }: TextOptions = {},
): Promise<GeneratedText[]> {
  if (stopStrings.includes('')) throw new RangeError('a stop string is empty, expected at least one character');
  const texts = requests.map((_, request) => {
    return new GrowingText(tokenizer, stopStrings, (piece) => onText?.(request, piece));
  });
  const generated = await generateGreedily(runtime, adapter, requests, {
    ...options,
    endIds: new Set(endOfTextIds),
    onToken: (request, tokenIds) => {
      const text = texts[request]!;
      if (text.push(tokenIds.at(-1)!)) return 'stop_string';
      return isSettled?.(request, text.soFar) ? 'settled' : null;
    },
  });
  return generated.map((each, request) => ({ ...each, text: texts[request]!.finish(each) }));
}

/** Text of a request, which is searched for stop strings while it grows. */
class GrowingText {
  readonly #tokenizer: GeneratingBase['tokenizer'];
  readonly #stream: TextStream;
  readonly #stopStrings: readonly string[];
  readonly #emit: (piece: string) => void;
  /** Number of trailing characters that are not emitted yet, because they may begin a stop string. */
  readonly #heldBack: number;
  #text = '';
  #emitted = 0;

  constructor(tokenizer: GeneratingBase['tokenizer'], stopStrings: readonly string[], emit: (piece: string) => void) {
    this.#tokenizer = tokenizer;
    this.#stream = new TextStream(tokenizer, SHOWN);
    this.#stopStrings = stopStrings;
    this.#emit = emit;
    this.#heldBack = Math.max(0, ...stopStrings.map(({ length }) => length - 1));
  }

  /** Text of the tokens so far, up to the point from which further tokens may still change it. */
  get soFar(): string {
    return this.#text;
  }

  /** Adds a token, and returns whether the text now contains a stop string. */
  push(id: number): boolean {
    const searched = this.#text.length;
    this.#text += this.#stream.push(id);
    const found = firstOf(this.#text, this.#stopStrings, searched - this.#heldBack) !== null;
    if (!found) this.#handOut(this.#text.length - this.#heldBack);
    return found;
  }

  /** Returns the whole text, up to a stop string if there is one, and emits the part that was not emitted before. */
  finish({ tokenIds }: { readonly tokenIds: readonly number[] }): string {
    const whole = this.#tokenizer.decode(tokenIds, SHOWN);
    this.#text = whole.slice(0, firstOf(whole, this.#stopStrings, 0) ?? whole.length);
    this.#handOut(this.#text.length);
    return this.#text;
  }

  #handOut(end: number): void {
    if (end <= this.#emitted) return;
    this.#emit(this.#text.slice(this.#emitted, end));
    this.#emitted = end;
  }
}

const SHOWN = { skipSpecialTokens: true };

/** Returns the position of the first stop string at `from` or later; null if there is none. */
function firstOf(text: string, strings: readonly string[], from: number): number | null {
  const found = strings.map((each) => text.indexOf(each, Math.max(0, from))).filter((at) => at >= 0);
  return found.length > 0 ? Math.min(...found) : null;
}
