import type { Adapter } from '../../models/lora/adapter.ts';
import type { Phase } from '../../options/phases.ts';
import type { Evolution } from '../evolution/evolution.ts';
import type { FusionOptions } from '../fusion/fusion.ts';
import type { GateLook, GateMeasurement, MetricValue } from '../gate/readiness-gate.ts';
import type { RegularizationOptions } from '../regularization/regularization.ts';
import type { SearchEvaluation } from '../search/search-task.ts';
import type { Candidate, CandidateRecord, RungName } from './candidate.ts';
import type { LadderProgress, LadderState } from './ladder-state.ts';
import type { WatchRecord } from './watch-log.ts';

/** The phases that a ladder goes through. Searching belongs to `initialize`. */
export type LadderPhase = Extract<Phase, 'initialize' | 'fine_tune' | 'evaluate' | 'publish'>;

/** Event of a ladder, for observers. Plain JSON. */
export type LadderEvent =
  | { readonly type: 'rung'; readonly rung: RungName }
  | { readonly type: 'skipped'; readonly rung: RungName; readonly reason: string }
  | {
      readonly type: 'search';
      readonly rung: RungName;
      readonly evaluation: SearchEvaluation;
      /** Number of evaluations so far, this one included. */
      readonly evaluations: number;
    }
  /** An adapter of a training was measured on the search rows. */
  | { readonly type: 'watched'; readonly watched: WatchRecord }
  | { readonly type: 'candidate'; readonly candidate: CandidateRecord }
  | { readonly type: 'published'; readonly candidate: CandidateRecord }
  /** Reported after each change of the progress, and first when a run resumes. */
  | { readonly type: 'ladder'; readonly ladder: LadderProgress }
  | { readonly type: 'warning'; readonly message: string };

export interface FineTuneRequest {
  /** Rung that trains; each has a training of its own. */
  readonly rung: RungName;
  readonly initial: Adapter;
  /** Whether the initial adapter is untrained. It needs a higher learning rate than one that was carried over. */
  readonly fresh: boolean;
  readonly regularization: RegularizationOptions;
  /** Adapter that the regularization pulls towards, if it is neither the initial adapter nor zero. */
  readonly anchor?: Adapter | undefined;
  readonly steps: number;
  readonly evaluateEvery: number;
  /**
   * Callback after every `evaluateEvery` steps and after the last one, with the number of steps taken. The trainer must
   * not write to the adapter afterwards. A resumed training may repeat a call.
   */
  readonly onEvaluate: (step: number, adapter: Adapter) => Promise<'continue' | 'stop'>;
}

/** Everything that a ladder needs from outside. The ladder itself does no input or output. */
export interface LadderContext {
  readonly oldAdapter: Adapter;
  /** Null if the evolution is not known; then only copying and training are possible. */
  readonly evolution: Evolution | null;
  /** Matrix products for fusing adapters. Default: JavaScript on one thread. */
  readonly products?: FusionOptions['products'];
  /** Whether there are training rows. Default true. Copying, reverting and searching do not need any. */
  readonly canTrain?: boolean;
  readonly seed: number;
  readonly signal: AbortSignal;
  /** Creates an untrained adapter with the configuration of the old one. */
  createFresh(seed: number): Adapter;
  /** Number of search rows. */
  readonly searchRows: number;
  /** Mean completion loss on the search rows, in nats a token. */
  searchLoss(adapter: Adapter): Promise<number>;
  /** Measures the gate's metric of an adapter on the search rows. */
  searchMetric(adapter: Adapter): Promise<MetricValue>;
  /**
   * Measures an adapter on the gate rows, none of which is a search row: always the same rows in the same order. Unless
   * `look.whole` is set, it may end as soon as the adapter is certain to fail.
   */
  gateMetric(adapter: Adapter, look: GateLook): Promise<GateMeasurement>;
  /**
   * Trains until the steps are done or `onEvaluate` returns `stop`. Resumes from its own checkpoint, if there is one.
   */
  fineTune(request: FineTuneRequest): Promise<void>;
  /**
   * Publishes a candidate durably. It may be called again for the same candidate after a crash, and later for better
   * ones.
   */
  publish(candidate: Candidate): Promise<void>;
  phase(phase: LadderPhase): void;
  report(event: LadderEvent): void;
  /** Saves the state, and the best candidate's adapter if it was fine-tuned. Any other adapter can be fused again. */
  checkpoint(state: LadderState, best: Candidate | null): Promise<void>;
  /** Last checkpoint of an interrupted run. `bestAdapter` is set if its best candidate was fine-tuned. */
  readonly resume?: { readonly state: LadderState; readonly bestAdapter: Adapter | null };
  /** Returns milliseconds on a monotonic clock. Default `performance.now`. */
  now?(): number;
}
