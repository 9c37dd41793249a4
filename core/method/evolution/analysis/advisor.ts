import type { AdapterReach } from '../../fusion/adapter-reach.ts';
import { flatEnergy, overallCapturedEnergy } from '../captured-energy.ts';
import type { Evolution } from '../evolution.ts';
import { unadaptableParts } from '../unadaptable-parts.ts';
import type { VersionComparison } from './version-comparison.ts';

/** Where to begin with an adapter: as it is, with the base's change undone, with a search, with training, or not at all. */
export const VERDICTS = ['reuse', 'revert', 'search', 'retrain', 'incompatible'] as const;
export type Verdict = (typeof VERDICTS)[number];

export interface Reason {
  /** Stable. */
  readonly code: string;
  readonly message: string;
}

export interface Advice {
  readonly verdict: Verdict;
  /** What decided first, then what else is worth knowing. */
  readonly reasons: readonly Reason[];
}

export interface AdvisorFacts {
  readonly comparison: VersionComparison;
  /** Null where the versions are incompatible. */
  readonly evolution: Evolution | null;
  /** Of the adapter in question; left out, the advice is for any adapter that adapts every module. */
  readonly reach?: AdapterReach;
}

/**
 * What the verdicts go by. All are ours, and rough: they come from one small family of models (the table in
 * docs/method.md), and the ladder's gates correct them in either direction.
 */
export const THRESHOLDS = {
  /** Storing weights in bfloat16 moves them by this much, and nobody retrains for that: 0.17 % of Gaussian weights (test). */
  roundingDrift: 0.0017,
  /** A trained change: revert lost 0 to 17 points at 15 %, 2 to 54 at 30 %. */
  hopelessDrift: 0.2,
  /** Change spread over all directions: copies lost nothing at 8 %, up to 4 points at 15 %, up to 29 at 30 %. */
  diffuseDrift: 0.1,
  /** Multiple of the energy of a change without structure above which a change has some. */
  structure: 2,
  /** The rank at which structure is looked for. */
  structureRank: 8,
  /** The least share undone with which a revert won back a good part (two fifths) of what copying had lost. */
  undone: 0.1,
  /** Of embeddings or head, which no adapter reaches: noise of 15 % cost a point, of 30 % up to 6; training is no noise. */
  unreachableDrift: 0.1,
} as const;

/** A verdict with its reasons, from the analysis alone: nothing is trained or evaluated. */
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
    return decision(
      'retrain',
      'unreachable',
      `embeddings or head moved by ${percent(unreachable)}, where no adapter reaches`,
    );
  }
  if (drift <= THRESHOLDS.roundingDrift) {
    return decision(
      'reuse',
      'within_rounding',
      `the adaptable layers moved by ${percent(drift)}, no more than rounding to bfloat16 does`,
    );
  }
  if (drift >= THRESHOLDS.hopelessDrift) {
    return decision(
      'retrain',
      'too_far',
      `the adaptable layers moved by ${percent(drift)}: too far for the old adapter to be a start`,
    );
  }
  return isDiffuse(evolution) ? decideDiffuse(drift) : decideStructured(evolution, reach);
}

/** Nothing for a low rank to undo; such a change disturbs adapters much less than one of the same norm with structure. */
function decideDiffuse(drift: number): Decision {
  const moved = `the adaptable layers moved by ${percent(drift)}, evenly in all directions`;
  if (drift <= THRESHOLDS.diffuseDrift) return decision('reuse', 'diffuse', `${moved}, which disturbs adapters little`);
  return decision('retrain', 'diffuse', `${moved}: no low rank undoes that`);
}

function decideStructured(evolution: Evolution, reach: AdapterReach | undefined): Decision {
  const share = reach?.undone ?? overallCapturedEnergy(evolution, THRESHOLDS.structureRank);
  const who = reach ? 'the adapter' : `an adapter of rank ${THRESHOLDS.structureRank} on every module`;
  const undoes = `${who} can undo ${percent(share)} of the change`;
  if (share >= THRESHOLDS.undone) return decision('revert', 'undoable', undoes);
  return decision('search', 'hardly_undoable', `${undoes}: what is best kept of it and of the adapter is to be found`);
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

/** A change without structure holds at most {@link flatEnergy} in its leading directions. */
function isDiffuse(evolution: Evolution): boolean {
  const rank = Math.min(THRESHOLDS.structureRank, evolution.rank);
  return overallCapturedEnergy(evolution, rank) < THRESHOLDS.structure * flatEnergy(evolution, rank);
}

function unreachableDrift(evolution: Evolution): number {
  const parts = unadaptableParts(evolution);
  return Math.max(parts.get('embeddings')?.drift ?? 0, parts.get('head')?.drift ?? 0);
}

/** What changes no verdict. */
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
    if (deltaNorm > 0) note(`moved:${part}`, `${part} moved by ${percent(drift)}; no adapter carries that`);
  }
  for (const { field, old, new: next } of settings) {
    note(
      `setting:${field}`,
      `${field} changed from ${JSON.stringify(old)} to ${JSON.stringify(next)}; no fusion undoes that`,
    );
  }
  const { addedTokens, vocabulary, chatTemplate, roles } = tokenizer;
  const tokens = addedTokens.length + vocabulary.added.length;
  if (tokens > 0)
    note('tokens', `${tokens} tokens were added, renamed or removed beside the vocabulary that adapters use`);
  if (roles.length > 0) note('roles', `${roles.map(({ field }) => field).join(', ')} changed`);
  if (chatTemplate !== 'same') note('chat_template', `the chat template was ${chatTemplate}`);
  return found;
}

function percent(share: number): string {
  const value = 100 * share;
  return `${value < 1 ? value.toFixed(2) : value.toFixed(1)} %`;
}
