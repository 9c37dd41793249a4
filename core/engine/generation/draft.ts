import { keepsAngles } from '../../models/config/rotary-angles.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';

export interface DraftLimits {
  readonly config: ModelConfig;
  /** Ids of the tokens that end a text. */
  readonly endIds: ReadonlySet<number>;
  /** Largest number of rows of logits that one forward pass may compute. */
  readonly mostLabels: number;
  readonly promptLength: number;
  readonly maxNewTokens: number;
}

/**
 * Cuts a draft to the tokens that are worth passing through the model. The draft ends before the first token that ends
 * the text or is not in the vocabulary. It is at least one token shorter than the limits of new tokens and of logits
 * rows, since a pass also yields the token after the draft. Returns no tokens if they would change the rotary angles of
 * the prompt.
 */
export function usableDraft(
  draftIds: readonly number[],
  { config, endIds, mostLabels, promptLength, maxNewTokens }: DraftLimits,
): readonly number[] {
  const end = draftIds.findIndex((id) => endIds.has(id) || !(id >= 0 && id < config.vocabSize));
  const known = end < 0 ? draftIds : draftIds.slice(0, end);
  const draft = known.slice(0, Math.min(maxNewTokens, mostLabels) - 1);
  return keepsAngles(config, promptLength, promptLength + draft.length) ? draft : [];
}

/**
 * Most probable token after a prompt and a beginning of its draft, computed in one forward pass over the prompt and the
 * whole draft.
 */
interface Verified {
  readonly token: number;
  /**
   * Whether another token's logit is equal up to rounding, so that a single generation step might choose that other
   * token.
   */
  readonly isTied: boolean;
}

/**
 * Draft of a text, with the tokens that a forward pass over the prompt and the draft found most probable. The text
 * takes these tokens one by one, up to one whose logit is nearly tied with another token's. Then a single generation
 * step has to choose the token. If it chooses the draft's token, the text goes on with the tokens after that one;
 * otherwise the draft is given up.
 */
export class VerifiedDraft {
  readonly #draft: readonly number[];
  /**
   * Most probable tokens after the prompt and after each token of the draft, up to the first that differs from the
   * draft without being nearly tied.
   */
  readonly #verified: readonly Verified[];
  /**
   * Position, counted from the first token after the prompt, of the nearly tied token that the next generation step has
   * to choose; null if the draft has ended.
   */
  #tied: number | null = 0;
  #taken = 0;

  /**
   * @param logits [draft.length + 1, vocab] logits after the prompt and after each token of the draft, row-major
   * @param rounding difference up to which two logits count as equal
   */
  constructor(draft: readonly number[], logits: Float32Array, rounding: number) {
    this.#draft = draft;
    this.#verified = verify(draft, logits, rounding);
  }

  /** Whether a single generation step has to choose the next token, because two tokens are nearly tied. */
  get isTied(): boolean {
    return this.#tied !== null;
  }

  /** Number of tokens at the beginning of the draft that may be part of the text; 0 once the draft has ended. */
  get length(): number {
    return this.isTied ? this.#verified.length - 1 : 0;
  }

  /** Number of the draft's tokens that became part of the text without a generation step of their own. */
  get taken(): number {
    return this.#taken;
  }

  /**
   * Returns the first tokens of the text: those before the first nearly tied token or, if none is tied, those up to and
   * including the first that is not the draft's.
   */
  begin(): number[] {
    return this.#takeFrom(0);
  }

  /**
   * Returns the token that a generation step has chosen and, if the draft has the same token there, the tokens that
   * follow from the draft up to the next near tie.
   * @param chosen most probable token according to the generation step
   */
  continue(chosen: number): number[] {
    const place = this.#tied!;
    this.#tied = null;
    return chosen === this.#draft[place] ? [chosen, ...this.#takeFrom(place + 1)] : [chosen];
  }

  #takeFrom(first: number): number[] {
    const tied = this.#verified.findIndex(({ isTied }, place) => isTied && place >= first);
    this.#tied = tied < 0 ? null : tied;
    const tokens = this.#verified.slice(first, this.#tied ?? undefined).map(({ token }) => token);
    this.#taken += tokens.filter((token, index) => token === this.#draft[first + index]).length;
    return tokens;
  }
}

function verify(draft: readonly number[], logits: Float32Array, rounding: number): Verified[] {
  const vocab = logits.length / (draft.length + 1);
  const verified: Verified[] = [];
  for (let place = 0; ; place++) {
    const row = logits.subarray(place * vocab, (place + 1) * vocab);
    const token = argmax(row);
    // The token right after the prompt comes from a pass over the whole prompt in any case.
    const isTied = place > 0 && isNearTie(row, token, rounding);
    verified.push({ token, isTied });
    if (place === draft.length || (token !== draft[place] && !isTied)) return verified;
  }
}

function isNearTie(logits: Float32Array, best: number, rounding: number): boolean {
  const least = logits[best]! - rounding;
  for (let i = 0; i < logits.length; i++) if (logits[i]! >= least && i !== best) return true;
  return false;
}

/** Returns the index of the largest value; the first one if several are equal. */
export function argmax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
