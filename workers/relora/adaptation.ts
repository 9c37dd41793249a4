import type { Adapter } from '../models/adapter.ts';
import type { Evolution } from './evolution.ts';
import type { Gate, GateTarget, MetricValue } from './readiness-gate.ts';
import type { RegularisationOptions } from './regularisation.ts';
import type { SearchEvaluation, SearchOptions } from './coefficient-search.ts';

/** How an adapter is carried over. All but `auto` also name what a published adapter came from. */
export const STRATEGIES = ['reuse', 'revert', 'relora', 'warm-start', 'scratch', 'auto'] as const;
export type StrategyName = (typeof STRATEGIES)[number];
export type CandidateStrategy = Exclude<StrategyName, 'auto'>;

/** The phases that the ladder is in; exactly one is current at any time. Searching belongs to `initialize`. */
export type LadderPhase = 'initialize' | 'fine_tune' | 'evaluate' | 'publish';

export type RungName = 'copy' | 'revert' | 'search' | 'fine_tune';

/** One adapter that the gate has judged. Plain JSON. */
export interface CandidateRecord {
  /** `copy`, `revert`, `search` or `fine_tune@<step>`; unique in a run. */
  readonly id: string;
  readonly strategy: CandidateStrategy;
  /** Coefficients of its (initial) fusion; null where it was trained from scratch. */
  readonly alpha: number | null;
  readonly beta: number | null;
  /** Fine-tuning steps taken. */
  readonly step: number;
  readonly metric: MetricValue;
  readonly passed: boolean;
  /** Mean completion loss on the search rows, where the search evaluated these coefficients without fine-tuning. */
  readonly searchLoss: number | null;
  /** From the start of the run to the gate's verdict; a resumed run counts on. */
  readonly elapsedMs: number;
}

export interface Candidate extends CandidateRecord {
  readonly adapter: Adapter;
}

/** All that a killed run needs to go on without repeating an evaluation. Plain JSON. */
export interface LadderState {
  readonly strategy: StrategyName;
  /** The rung under way. */
  readonly rung: RungName;
  readonly candidates: readonly CandidateRecord[];
  readonly searchHistory: readonly SearchEvaluation[];
  readonly searchFinished: boolean;
  readonly bestId: string | null;
  readonly publishedId: string | null;
  readonly elapsedMs: number;
}

export interface FineTuneRequest {
  readonly initial: Adapter;
  readonly regularisation: RegularisationOptions;
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
  | { readonly type: 'search'; readonly evaluation: SearchEvaluation; readonly evaluations: number; readonly budget: number }
  | { readonly type: 'candidate'; readonly candidate: CandidateRecord }
  | { readonly type: 'published'; readonly candidate: CandidateRecord }
  | { readonly type: 'warning'; readonly message: string };

/** What the ladder needs of the world. It does no input or output of its own. */
export interface AdaptationContext {
  readonly oldAdapter: Adapter;
  /** What changed in the base; null where that is not known (only copying and training are possible then). */
  readonly evolution: Evolution | null;
  readonly seed: number;
  readonly signal: AbortSignal;
  /** An untrained adapter of the old one's configuration. */
  createFresh(seed: number): Adapter;
  /** Mean completion loss on the fixed search rows (nats a token). */
  searchLoss(adapter: Adapter): Promise<number>;
  /** On the held-out gate rows, which are never search rows. */
  gateMetric(adapter: Adapter): Promise<MetricValue>;
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
  /** The old version's metric on the old base; a relative gate needs it. */
  readonly oldMetric: MetricValue | null;
  /** Budget of fine-tuning. */
  readonly steps: number;
  readonly evaluateEvery: number;
  /** Steps to go on after the first pass, for a better version. Default 0: stop there. */
  readonly refineSteps?: number;
  /** Of `relora` and `auto`; the baselines `warm-start` and `scratch` train without. */
  readonly regularisation?: RegularisationOptions;
  readonly search?: SearchOptions;
}

export interface AdaptationOutcome {
  readonly ready: boolean;
  readonly target: GateTarget;
  /** What is published: the best candidate where the gate was passed. */
  readonly published: Candidate | null;
  /** The best candidate by the gate's metric, ready or not; null where nothing was judged. */
  readonly best: Candidate | null;
  /** Of the best candidate. */
  readonly strategy: CandidateStrategy | null;
  readonly alpha: number | null;
  readonly beta: number | null;
  readonly candidates: readonly CandidateRecord[];
  readonly searchHistory: readonly SearchEvaluation[];
  readonly warnings: readonly string[];
  readonly elapsedMs: number;
}
