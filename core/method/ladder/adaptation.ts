import type { Adapter } from '../../models/lora/adapter.ts';
import type { BaseModel } from '../../models/base-model.ts';
import type { CoefficientGroups } from '../fusion/grouping.ts';
import type { SearchEvaluation, SearchOptions } from '../search/search-task.ts';
import type { Evolution } from '../evolution/evolution.ts';
import type { FleetSearches } from '../search/fleet-prior.ts';
import type { FusionOptions } from '../fusion/fusion.ts';
import type { GradientEvaluation, LossAndGradients } from '../search/gradients/gradient-search.ts';
import type { GroupingName } from '../fusion/grouping.ts';
import type {
  Gate,
  GateMeasurement,
  GateTarget,
  GateVerdict,
  MetricValue,
  RowOutcomes,
} from '../gate/readiness-gate.ts';
import type { RegularizationOptions } from '../regularization/regularization.ts';

/** How an adapter is carried over. */
export const STRATEGIES = ['auto', 'reuse', 'revert', 'relora', 'relora-paper', 'warm-start', 'scratch'] as const;
export type StrategyName = (typeof STRATEGIES)[number];
/** What a published adapter came from. */
export type CandidateStrategy = Exclude<StrategyName, 'auto' | 'relora-paper'>;

export const PREFERENCES = ['old_behavior', 'new_base'] as const;
/**
 * What `auto` is to keep where both cannot be had: the tenant's old behavior (reverting is tried second, as the cheapest
 * that works), or what the new base does better (the base's change is undone by half at most, and reverted only when
 * everything else has failed).
 */
export type Preference = (typeof PREFERENCES)[number];

/** The phases that the ladder is in; exactly one is current at any time. Searching belongs to `initialize`. */
export type LadderPhase = 'initialize' | 'fine_tune' | 'evaluate' | 'publish';

export const RUNG_NAMES = ['copy', 'revert', 'prior', 'search', 'fine_tune', 'scratch'] as const;
/** `prior` is the best coefficients of the fleet so far; `scratch` trains a fresh adapter. */
export type RungName = (typeof RUNG_NAMES)[number];

/** One adapter that the gate has judged. Plain JSON. */
export interface CandidateRecord extends GateVerdict {
  /** The rung's name, and of those that train the step (`fine_tune@20`); unique in a run. */
  readonly id: string;
  readonly rung: RungName;
  readonly strategy: CandidateStrategy;
  /** Coefficients of its (initial) fusion; null where it was trained from scratch. */
  readonly alpha: number | null;
  readonly beta: number | null;
  /** Where groups of modules have coefficients of their own; `alpha` and `beta` are then the means over the adapted modules. */
  readonly groups?: CoefficientGroups;
  /** Fine-tuning steps that went into it. */
  readonly step: number;
  readonly metric: MetricValue;
  /** Mean completion loss on the search rows, where the search evaluated these coefficients without fine-tuning. */
  readonly searchLoss: number | null;
  /** From the start of the run to the gate's verdict; a resumed run counts on. */
  readonly elapsedMs: number;
}

export interface Candidate extends CandidateRecord {
  readonly adapter: Adapter;
  readonly outcomes: RowOutcomes;
}

export const RUNG_RESULTS = ['passed', 'failed', 'skipped', 'not_run'] as const;

/** What became of one rung of the ladder. Plain JSON. */
export interface RungReport {
  readonly rung: RungName;
  /** `skipped`: there was nothing to try; `not_run`: an earlier rung had passed, or the run ended before. */
  readonly result: (typeof RUNG_RESULTS)[number];
  /** Why it was skipped or not run. */
  readonly reason: string | null;
  /** Of all that it did, evaluation and publication included. */
  readonly ms: number;
  /** Its best candidate, one that passed before all that did not; null where it has none of its own. */
  readonly candidate: CandidateRecord | null;
}

/** All that a killed run needs to go on without repeating an evaluation. Plain JSON. */
export interface LadderState {
  readonly strategy: StrategyName;
  /** The rung under way; those before it are over. */
  readonly rung: RungName;
  readonly rungMs: Readonly<Partial<Record<RungName, number>>>;
  readonly skipped: Readonly<Partial<Record<RungName, string>>>;
  readonly candidates: readonly CandidateRecord[];
  readonly searchHistory: readonly SearchEvaluation[];
  /** Of a search by gradients; absent in checkpoints of versions that had none. */
  readonly gradientHistory?: readonly GradientEvaluation[];
  readonly searchFinished: boolean;
  readonly bestId: string | null;
  /** Of the best candidate, as numbers. */
  readonly bestOutcomes: { readonly values: readonly number[]; readonly tokens: readonly number[] } | null;
  readonly publishedId: string | null;
  readonly elapsedMs: number;
}

export interface FineTuneRequest {
  /** Each rung that trains has a training of its own. */
  readonly rung: RungName;
  readonly initial: Adapter;
  /** The initial adapter is untrained: it wants a higher learning rate than one that was carried over. */
  readonly fresh: boolean;
  readonly regularization: RegularizationOptions;
  readonly steps: number;
  readonly evaluateEvery: number;
  /**
   * To be called after every `evaluateEvery` steps and after the last one, with the number of steps taken. The adapter
   * must not be written to afterwards. A resumed trainer may repeat calls for steps it had called before.
   */
  readonly onEvaluate: (step: number, adapter: Adapter) => Promise<'continue' | 'stop'>;
}

export type AdaptationEvent =
  | { readonly type: 'rung'; readonly rung: RungName }
  | { readonly type: 'skipped'; readonly rung: RungName; readonly reason: string }
  /** On another rung than `search` it compares what is known before any search. */
  | {
      readonly type: 'search';
      readonly rung: RungName;
      readonly evaluation: SearchEvaluation;
      readonly evaluations: number;
      readonly budget: number;
    }
  | { readonly type: 'candidate'; readonly candidate: CandidateRecord }
  | { readonly type: 'published'; readonly candidate: CandidateRecord }
  | { readonly type: 'warning'; readonly message: string };

/** What the ladder needs of the world. It does no input or output of its own. */
export interface AdaptationContext {
  readonly oldAdapter: Adapter;
  /** What changed in the base; null where that is not known (only copying and training are possible then). */
  readonly evolution: Evolution | null;
  /** The new base's, which coefficients of groups need where the old adapter is one of DoRA. */
  readonly baseWeights?: BaseModel['weights'];
  /** Finished searches of the same rollout, from the same base version. Default none. */
  readonly fleetSearches?: FleetSearches;
  /** Whether there is anything to train on; default true. Copying, reverting and searching do without. */
  readonly canTrain?: boolean;
  readonly seed: number;
  readonly signal: AbortSignal;
  /** An untrained adapter of the old one's configuration. */
  createFresh(seed: number): Adapter;
  /** Completion tokens of every search row. */
  readonly searchRowTokens: readonly number[];
  /** Summed completion losses (nats) of the search rows with these indices, in their order. */
  searchRowLosses(adapter: Adapter, rows: readonly number[]): Promise<ArrayLike<number>>;
  /** Mean completion loss on all search rows, and its gradients with respect to an adapter's factors (of any rank). */
  searchRowGradients(adapter: Adapter): Promise<LossAndGradients>;
  /** On the held-out gate rows, which are never search rows; always the same ones, in the same order. */
  gateMetric(adapter: Adapter): Promise<GateMeasurement>;
  /** Trains; returns when the steps are done or `onEvaluate` said stop. Resumes from its own checkpoint, if any. */
  fineTune(request: FineTuneRequest): Promise<void>;
  /** Publishes durably. May be called again for the same candidate after a crash, and for better ones. */
  publish(candidate: Candidate): Promise<void>;
  phase(phase: LadderPhase): void;
  report(event: AdaptationEvent): void;
  /** Keeps the state, and the best candidate's adapter where it was fine-tuned: nothing else could rebuild that one. */
  checkpoint(state: LadderState, best: Candidate | null): Promise<void>;
  /** The last checkpoint of a run that was killed; `bestAdapter` where its best candidate was fine-tuned. */
  readonly resume?: { readonly state: LadderState; readonly bestAdapter: Adapter | null };
  /** Milliseconds on a monotonic clock. Default `performance.now`. */
  now?(): number;
}

export interface AdaptationOptions {
  readonly gate: Gate;
  /** The old version on the gate rows and the old base; see `needsOldVersion`. */
  readonly old: GateMeasurement | null;
  /** Budget of training, shared by the rungs that train. */
  readonly steps: number;
  readonly evaluateEvery: number;
  /** Steps to go on after the first pass, for a version that is better beyond noise. Default 0: stop there. */
  readonly refineSteps?: number;
  /**
   * Of `auto`: fine-tuning ends when so many evaluations in a row have not bettered it, which leaves the rest of the
   * budget to training from scratch. 0 never ends it early. Default 0.
   */
  readonly patience?: number;
  /** Of `auto`. Default `old_behavior`. */
  readonly prefer?: Preference;
  /** Of `relora` and `auto`; `relora-paper` has its own, and the baselines `warm-start` and `scratch` none. */
  readonly regularization?: RegularizationOptions;
  readonly search?: SearchOptions;
  /**
   * Modules that share their coefficients. Default `global`: one pair, by the search; else a pair for each group, by
   * gradients, and of the search's options the bounds alone count.
   */
  readonly grouping?: GroupingName;
  /** Of the rank of what is fused. Default: the old one. */
  readonly fusion?: FusionOptions;
}

export interface AdaptationOutcome {
  readonly ready: boolean;
  readonly target: GateTarget;
  /** What is published; the best candidate then. */
  readonly published: Candidate | null;
  /** Ready or not; null where nothing was judged. */
  readonly best: Candidate | null;
  /** Of the best candidate. */
  readonly strategy: CandidateStrategy | null;
  readonly alpha: number | null;
  readonly beta: number | null;
  /** Every rung of the strategy, in order. */
  readonly rungs: readonly RungReport[];
  readonly candidates: readonly CandidateRecord[];
  readonly searchHistory: readonly SearchEvaluation[];
  readonly warnings: readonly string[];
  readonly elapsedMs: number;
}
