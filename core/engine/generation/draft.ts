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

/** Beginning of a draft that greedy decoding generates. */
export interface AcceptedDraft {
  /** Ids of the accepted tokens and, unless the next one is nearly tied, of the token that follows them. */
  readonly tokens: readonly number[];
  /** Number of accepted tokens of the draft. */
  readonly accepted: number;
  readonly nearTie: boolean;
}

/**
 * Compares a draft with the most probable tokens. It is accepted up to the first token that is not the most probable
 * one, or whose logit equals another's apart from rounding: a step would decide that otherwise, perhaps. The token
 * right after the prompt comes from a pass over the whole prompt in any case.
 * @param logits [draft.length + 1, vocab] logits after the prompt and after each token of the draft, row-major
 * @param rounding difference up to which two logits count as equal
 */
export function acceptDraft(logits: Float32Array, draft: readonly number[], rounding: number): AcceptedDraft {
  const vocab = logits.length / (draft.length + 1);
  const tokens: number[] = [];
  for (let accepted = 0; ; accepted++) {
    const row = logits.subarray(accepted * vocab, (accepted + 1) * vocab);
    const next = argmax(row);
    if (accepted > 0 && isNearTie(row, next, rounding)) return { tokens, accepted, nearTie: true };
    tokens.push(next);
    if (next !== draft[accepted]) return { tokens, accepted, nearTie: false };
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
