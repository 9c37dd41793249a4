import type { ProgramKind } from '../decoder/program-spec.ts';
import type { Runtime } from '../runtime.ts';
import { activationBytes, type AdaptedWidths } from './activation-memory.ts';

interface LimitOptions {
  readonly kind: ProgramKind;
  readonly adapted: AdaptedWidths;
  /** Tokens that are enough, if there is memory for them. */
  readonly most: number;
  /** Largest number of labels of a call, which may be fewer than its tokens. */
  readonly labels: number;
  /** Tokens with shares that gradients take for each label. Default: 0, where each label is one token. */
  readonly targets?: number;
}

/** Smallest number of tokens that a limit is lowered to; what needs more memory then computes layers again. */
const FEWEST_TOKENS = 32;

/**
 * Returns how many tokens go through the model at once: `most`, or fewer where a runtime has too little memory for that.
 * Halving the tokens costs less than computing layers again, so nothing is recomputed for the sake of more tokens.
 */
export function tokenLimit({ base: { config }, activationBytes: bytes }: Runtime, options: LimitOptions): number {
  const { kind, adapted, most, targets = 0 } = options;
  if (!(bytes < Infinity)) return most;
  let tokens = most;
  const fits = (): boolean => {
    const sizes = { tokens, longest: tokens, labels: Math.min(tokens, options.labels), targets };
    return activationBytes({ config, kind, adapted, recompute: 'cheap' }, sizes) <= bytes;
  };
  while (tokens > FEWEST_TOKENS && !fits()) tokens = Math.ceil(tokens / 2);
  return tokens;
}
