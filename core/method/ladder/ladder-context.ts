import type { Adapter } from '../../models/lora/adapter.ts';
import type { Phase } from '../../options/phases.ts';
import type { Evolution } from '../evolution/evolution.ts';
import type { FusionOptions } from '../fusion/fusion.ts';
import type { GateLook, GateMeasurement, SearchMeasurement } from '../gate/readiness-gate.ts';
import type { RegularizationOptions } from '../regularization/regularization.ts';
import type { SearchEvaluation } from '../search/search-task.ts';
import type { Candidate, CandidateRecord, RungName } from './candidate.ts';
import type { LadderProgress, LadderState } from './ladder-state.ts';
import type { WatchRecord } from './watch-log.ts';

/** Phases of a job during which a ladder runs. Copying, reverting and searching belong to `initialize`. */
export type LadderPhase = Extract<Phase, 'initialize' | 'fine_tune' | 'evaluate' | 'publish'>;

/** Event that a ladder reports to its observers while it runs. Plain JSON. */
export type LadderEvent =
  | { readonly type: 'rung'; readonly rung: RungName }
  | { readonly type: 'skipped'; readonly rung: RungName; readonly reason: string }
  | {
      readonly type: 'search';
      readonly rung: RungName;
      readonly evaluation: SearchEvaluation;
      /** Number of points that the search has measured so far, this one included. */
      readonly evaluations: number;
    }
  /** An adapter was measured on the search rows during its training. */
  | { readonly type: 'watched'; readonly watched: WatchRecord }
  | {
      readonly type: 'candidate';
      readonly candidate: CandidateRecord;
      /** Outcome of each gate row that the look measured, in the order of the look. */
      readonly outcomes: readonly number[];
    }
  | { readonly type: 'published'; readonly candidate: CandidateRecord }
  /** All of the ladder's progress, reported after each change, and at once when an interrupted run resumes. */
  | { readonly type: 'ladder'; readonly ladder: LadderProgress }
  | { readonly type: 'warning'; readonly message: string };

export interface FineTuneRequest {
  /** Rung that asks for the training. Each rung that trains has a training of its own. */
  readonly rung: RungName;
  readonly initial: Adapter;
  /**
   * Whether the initial adapter is a fresh one. Its training needs a higher learning rate than that of an adapter that
   * was carried over.
   */
  readonly fresh: boolean;
  readonly regularization: RegularizationOptions;
  /**
   * Adapter that the regularization pulls towards. Left out if it is the initial adapter, or if the pull is towards
   * zero.
   */
  readonly anchor?: Adapter | undefined;
  readonly steps: number;
  readonly evaluateEvery: number;
  /**
   * Called with the adapter and the number of steps taken, after every `evaluateEvery` steps and after the last one.
   * The trainer must not write to that adapter afterwards. A resumed training may repeat a call.
   */
  readonly onEvaluate: (step: number, adapter: Adapter) => Promise<'continue' | 'stop'>;
}

/** Data and functions that a ladder gets from its caller. All input and output goes through them. */
export interface LadderContext {
  readonly oldAdapter: Adapter;
  /**
   * Difference of the new and the old base's weights. Null if it is not known; then the old adapter can only be copied
   * and trained.
   */
  readonly evolution: Evolution | null;
  /** Functions that multiply the matrices when adapters are fused. Default: JavaScript on one thread. */
  readonly products?: FusionOptions['products'];
  /** Whether there are rows to train on, which copying, reverting and searching do not need. Default true. */
  readonly canTrain?: boolean;
  readonly seed: number;
  readonly signal: AbortSignal;
  /** Creates an untrained adapter with the rank, modules and other settings of the old one. */
  createFresh(seed: number): Adapter;
  /** Number of search rows: held-out rows on which the search measures points and adapters in training are measured. */
  readonly searchRows: number;
  /** Measures the mean loss of the completions in the search rows, in nats a token. */
  searchLoss(adapter: Adapter): Promise<number>;
  /** Measures the gate's metric of an adapter on the search rows. */
  searchMetric(adapter: Adapter): Promise<SearchMeasurement>;
  /**
   * Measures an adapter on the gate rows, none of which is a search row. The rows and their order are the same in every
   * call. The measurement ends with the look: after all rows, or when the adapter is certified or hopeless.
   */
  gateMetric(adapter: Adapter, look: GateLook): Promise<GateMeasurement>;
  /**
   * Trains an adapter until all steps are done or `onEvaluate` returns `stop`. An interrupted training resumes from its
   * last checkpoint.
   */
  fineTune(request: FineTuneRequest): Promise<void>;
  /**
   * Publishes a candidate durably. A run may publish the same candidate again after a crash, and better candidates
   * later.
   */
  publish(candidate: Candidate): Promise<void>;
  phase(phase: LadderPhase): void;
  report(event: LadderEvent): void;
  /**
   * Saves the state of the ladder. If the best candidate was trained, its adapter must be saved too; an untrained
   * adapter can be fused again from its coefficients.
   */
  checkpoint(state: LadderState, best: Candidate | null): Promise<void>;
  /**
   * Last checkpoint of an interrupted run; left out for a new run. `bestAdapter` is the best candidate's adapter if
   * that candidate was trained, and null otherwise.
   */
  readonly resume?: { readonly state: LadderState; readonly bestAdapter: Adapter | null };
  /** Returns the time in milliseconds on a clock that never goes back. Default: `performance.now`. */
  now?(): number;
}
