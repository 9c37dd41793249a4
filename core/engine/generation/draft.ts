import { keepsAngles } from '../../models/config/rotary-angles.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';

export interface DraftLimits {
  readonly config: ModelConfig;
  /** Ids of the tokens that end a text. */
  readonly endIds: ReadonlySet<number>;
  /** Largest number of logits rows of a pass. */
  readonly mostLabels: number;
  readonly promptLength: number;
  readonly maxNewTokens: number;
}

/**
 * Cuts a draft to the tokens that are worth feeding: to those of the vocabulary, before the end of the text and before
 * the last token that may be generated, since the token after those follows from them. A draft that would change the
 * rotary angles of the prompt is of no use.
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

/** Most probable token after a prompt and a part of its draft, by one pass over both. */
interface Verified {
  readonly token: number;
  /** Whether another token's logit equals this one's apart from rounding: a step would choose that one, perhaps. */
  readonly isTied: boolean;
}

/**
 * Draft of a text, with the tokens that a pass over the whole text found most probable. They are taken from place to
 * place until one is nearly tied. Then a single step has to choose, and the draft goes on if it chooses like the draft.
 */
export class VerifiedDraft {
  readonly #draft: readonly number[];
  /** Most probable tokens after the prompt and after each token of the draft, up to the first that contradicts it. */
  readonly #verified: readonly Verified[];
  /** Place of the nearly tied token that a step has to choose; null if the draft has ended. */
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

  /** Whether a step has to choose the next token. */
  get isTied(): boolean {
    return this.#tied !== null;
  }

  /** Number of tokens of the draft that may still be part of the text. */
  get length(): number {
    return this.isTied ? this.#verified.length - 1 : 0;
  }

  /** Number of tokens of the draft that the text has taken without a step. */
  get taken(): number {
    return this.#taken;
  }

  /** Returns the tokens from the beginning to the first nearly tied one, or to the first that is not the draft's. */
  begin(): number[] {
    return this.#takeFrom(0);
  }

  /**
   * Returns the token that a step has chosen, followed by those of the draft that then follow from it.
   * @param chosen most probable token by the step
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
