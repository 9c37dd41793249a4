import type { ProgramKind } from '../decoder/program-spec.ts';
import type { Runtime } from '../runtime.ts';
import { activationBytes, type AdaptedWidths } from './activation-memory.ts';

interface LimitOptions {
  readonly kind: ProgramKind;
  readonly adapted: AdaptedWidths;
  /** Number of tokens that the caller wants to compute at once. */
  readonly most: number;
  /** Largest number of labels of a call, which may be fewer than its tokens. */
  readonly labels: number;
  /** Number of soft targets of each label. Default: 0, for labels of one token. */
  readonly targets?: number;
}

/**
 * Smallest number of tokens to which a call is reduced. If even that needs too much memory, the backward pass
 * recomputes layers.
 */
const MIN_TOKENS = 32;

/**
 * Returns the number of tokens that go through the model at once: `most`, or fewer if a runtime's memory does not
 * suffice. Halving the tokens costs less than recomputing layers, so nothing is recomputed to allow more tokens.
 */
export function tokenLimit({ base: { config }, activationBytes: bytes }: Runtime, options: LimitOptions): number {
  const { kind, adapted, most, targets = 0 } = options;
  if (!(bytes < Infinity)) return most;
  let tokens = most;
  const fits = (): boolean => {
    const sizes = { tokens, longest: tokens, labels: Math.min(tokens, options.labels), targets };
    return activationBytes({ config, kind, adapted, recompute: 'cheap' }, sizes) <= bytes;
  };
  while (tokens > MIN_TOKENS && !fits()) tokens = Math.ceil(tokens / 2);
  return tokens;
}
