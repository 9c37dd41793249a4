import { flatEnergy, overallCapturedEnergy } from '../captured-energy.ts';
import { unadaptableParts } from '../drift.ts';
import type { Evolution } from '../evolution.ts';
import type { VersionComparison } from './version-comparison.ts';

/**
 * Recommended way to carry an adapter over: use it as it is, revert the base's change, search for coefficients, or
 * train; or none, because the versions are incompatible.
 */
type Verdict = 'reuse' | 'revert' | 'search' | 'retrain' | 'incompatible';

interface Reason {
  /** Short name of the reason, the same in all releases. */
  readonly code: string;
  readonly message: string;
}

export interface Advice {
  readonly verdict: Verdict;
  /** Reasons for the verdict: the deciding one first, then remarks. */
  readonly reasons: readonly Reason[];
}

/** Shares of a base's change that one adapter can reach; `fusion/adapter-reach.ts` computes them. */
export interface AdapterReach {
  /** Share of ‖W_new − W_old‖² that lies in the modules that the adapter adapts. */
  readonly targeted: number;
  /** Share of ‖W_new − W_old‖² that reverting undoes at the adapter's rank, beside the adapter's own update. */
  readonly undone: number;
}

interface AdvisorFacts {
  readonly comparison: VersionComparison;
  /** Evolution between both versions; null if they are incompatible. */
  readonly evolution: Evolution | null;
  /**
   * Reach of the adapter that the advice is for. Default: none; the advice is for any adapter that adapts every module.
   */
  readonly reach?: AdapterReach;
}

/**
 * Thresholds at which the advisor's verdict changes. All are ours, and rough: they come from one small family of models
 * (the table is in docs/method/evolution.md), and the ladder's gates correct them in either direction.
 */
export const THRESHOLDS = {
  /**
   * Drift that arises merely from storing Gaussian weights in bfloat16, as a test computes it. A drift of at most this
   * size needs no retraining.
   */
  roundingDrift: 0.0017,
  /**
   * Smallest drift at which retraining is better even for a structured change: revert lost 0 to 17 points at a drift of
   * 15 %, and 2 to 54 at 30 %.
   */
  hopelessDrift: 0.2,
  /**
   * Drift of an unstructured change above which retraining is better than copying: copies lost nothing at a drift of 8
   * %, up to 4 points at 15 %, and up to 29 at 30 %.
   */
  diffuseDrift: 0.1,
  /**
   * Smallest ratio between a change's captured energy and that of a change without structure at which the change counts
   * as structured.
   */
  structure: 2,
  /** Rank at which captured energies are compared to tell structured changes from others. */
  structureRank: 8,
  /**
   * Smallest share of the change that a revert has to undo to be advised. At this share, reverts won back a good part
   * (two fifths) of what copying loses.
   */
  undone: 0.1,
  /**
   * Drift of embeddings or head above which no adapter helps: noise of 15 % cost one point and of 30 % up to 6; a
   * trained change may cost more.
   */
  unreachableDrift: 0.1,
} as const;

/**
 * Returns a verdict with its reasons from the analysis of two versions alone, without training or evaluating an
 * adapter.
 */
export function adviseOn(facts: AdvisorFacts): Advice {
  const { comparison, evolution } = facts;
  if (evolution === null || comparison.differences.length > 0) return incompatible(comparison);
  const { verdict, reason } = decide(evolution, facts.reach);
  return { verdict, reasons: [reason, ...remarks(facts.reach, comparison, evolution)] };
}

interface Decision {
  readonly verdict: Verdict;
  readonly reason: Reason;
}

function decide(evolution: Evolution, reach: AdapterReach | undefined): Decision {
  const { drift } = evolution.adaptable;
  const unreachable = unreachableDrift(evolution);
  if (evolution.overall.deltaNorm === 0) return decision('reuse', 'unchanged', 'no weight of the base changed');
  if (unreachable >= THRESHOLDS.unreachableDrift) {
    const message = `embeddings or head moved by ${percent(unreachable)}, and no adapter can change these`;
    return decision('retrain', 'unreachable', message);
  }
  if (drift <= THRESHOLDS.roundingDrift) {
    const message = `the adaptable layers moved by ${percent(drift)}, no more than rounding to bfloat16 does`;
    return decision('reuse', 'within_rounding', message);
  }
  if (drift >= THRESHOLDS.hopelessDrift) {
    const message = `the adaptable layers moved by ${percent(drift)}, too far for the old adapter to be a good start`;
    return decision('retrain', 'too_far', message);
  }
  return isDiffuse(evolution) ? decideDiffuse(drift) : decideStructured(evolution, reach);
}

/**
 * Returns the decision for a change of the base that has no structure. An adapter of low rank cannot undo such a
 * change, but the change disturbs adapters much less than a structured one of the same norm.
 */
function decideDiffuse(drift: number): Decision {
  const moved = `the adaptable layers moved by ${percent(drift)}, evenly in all directions`;
  if (drift <= THRESHOLDS.diffuseDrift) return decision('reuse', 'diffuse', `${moved}, which disturbs adapters little`);
  return decision('retrain', 'diffuse', `${moved}, which no low rank can undo`);
}

function decideStructured(evolution: Evolution, reach: AdapterReach | undefined): Decision {
  const share = reach?.undone ?? overallCapturedEnergy(evolution, THRESHOLDS.structureRank);
  const who = reach ? 'the adapter' : `an adapter of rank ${THRESHOLDS.structureRank} on every module`;
  const undoes = `${who} can undo ${percent(share)} of the change`;
  if (share >= THRESHOLDS.undone) return decision('revert', 'undoable', undoes);
  return decision('search', 'hardly_undoable', `${undoes}; a search finds how much of it to undo`);
}

function decision(verdict: Verdict, code: string, message: string): Decision {
  return { verdict, reason: { code, message } };
}

function incompatible({ differences }: VersionComparison): Advice {
  const reasons = differences.map(({ field, old, new: next }) => {
    return { code: `differs:${field}`, message: `${field}: ${JSON.stringify(old)} → ${JSON.stringify(next)}` };
  });
  return { verdict: 'incompatible', reasons };
}

/**
 * Whether the base's change has no structure: its leading directions hold less than `structure` times the share that
 * {@link flatEnergy} gives for a change without structure.
 */
function isDiffuse(evolution: Evolution): boolean {
  const rank = Math.min(THRESHOLDS.structureRank, evolution.rank);
  return overallCapturedEnergy(evolution, rank) < THRESHOLDS.structure * flatEnergy(evolution, rank);
}

function unreachableDrift(evolution: Evolution): number {
  const parts = unadaptableParts(evolution);
  return Math.max(parts.get('embeddings')?.drift ?? 0, parts.get('head')?.drift ?? 0);
}

/** Returns remarks for the reader that do not change the verdict. */
function remarks(
  reach: AdapterReach | undefined,
  { settings, tokenizer }: VersionComparison,
  evolution: Evolution,
): Reason[] {
  const found: Reason[] = [];
  const note = (code: string, message: string): void => void found.push({ code, message });
  if (reach && reach.targeted < 1) {
    note('untargeted', `${percent(1 - reach.targeted)} of the change is in modules that the adapter leaves alone`);
  }
  for (const [part, { drift, deltaNorm }] of unadaptableParts(evolution)) {
    if (deltaNorm > 0) note(`moved:${part}`, `${part} moved by ${percent(drift)}, and no adapter can change these`);
  }
  for (const { field, old, new: next } of settings) {
    const change = `from ${JSON.stringify(old)} to ${JSON.stringify(next)}`;
    note(`setting:${field}`, `${field} changed ${change}, which no fusion undoes`);
  }
  const { addedTokens, vocabulary, chatTemplate, roles } = tokenizer;
  const tokens = addedTokens.length + vocabulary.added.length;
  if (tokens > 0) note('tokens', `${tokens} tokens outside of the vocabulary that adapters use were added or changed`);
  if (roles.length > 0) note('roles', `${roles.map(({ field }) => field).join(', ')} changed`);
  if (chatTemplate !== 'same') note('chat_template', `the chat template was ${chatTemplate}`);
  return found;
}

function percent(share: number): string {
  const value = 100 * share;
  return `${value < 1 ? value.toFixed(2) : value.toFixed(1)} %`;
}
