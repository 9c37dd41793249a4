import type { RolloutEvolution } from './evolution.schemas.ts';

/** Difference that makes two base model versions incompatible. */
export interface StoredDifference {
  readonly field: string;
  readonly old: unknown;
  readonly new: unknown;
}

type Advice = RolloutEvolution['advice'];

/** Advice from the analysis. For incompatible versions, the differences are the reasons. */
export function adviceOf(state: string, advice: unknown, differences: readonly StoredDifference[] | null): Advice {
  if (state !== 'failed') return advice as Advice;
  const reasons = (differences ?? []).map(({ field, old, new: next }) => {
    return { code: `differs:${field}`, message: `${field}: ${JSON.stringify(old)} → ${JSON.stringify(next)}` };
  });
  return { verdict: 'incompatible', reasons };
}
