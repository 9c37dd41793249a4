/**
 * What a worker and its training process say to each other over Node's IPC channel. The parent sends one
 * {@link ParentMessage} request at a time (`adapt`, `evolve` or `describe`), may send `cancel` and `published` meanwhile,
 * and `preload` before; the child streams {@link ChildMessage}s that all carry the request's id and ends every request with exactly
 * one `outcome` or one `error`. Everything is plain JSON; big things travel as paths of folders.
 */
import type { ModelConfig } from '../../core/models/config/model-config.ts';
import {
  PREFERENCES,
  STRATEGIES,
  type CandidateStrategy,
  type Preference,
  type RungReport,
  type StrategyName,
} from '../../core/method/ladder/adaptation.ts';
import { MOVED_COEFFICIENTS, type MovedCoefficients } from '../../core/method/fusion/coefficients.ts';
import type { FleetSearches } from '../../core/method/search/fleet-prior.ts';
import { GROUPINGS, type GroupingName } from '../../core/method/fusion/grouping.ts';
import type { GateFailure, GateRule } from '../../core/method/gate/readiness-gate.ts';
import type { RegularizationOptions } from '../../core/method/regularization/regularization.ts';

export { GROUPINGS, MOVED_COEFFICIENTS, PREFERENCES, STRATEGIES };
export type { FleetSearches };
/** What a job was asked for. */
export type Strategy = StrategyName;
/** What produced a candidate: `auto` picks one of these, and `relora-paper` makes a `relora`. */
export type { CandidateStrategy };

/** What the job's clock runs on. The child never reports `queue_wait`; the worker's own time before it is that. */
export const PHASES = ['queue_wait', 'prepare', 'evolution', 'initialize', 'fine_tune', 'evaluate', 'publish'] as const;
export type Phase = (typeof PHASES)[number];

export const METRICS = ['accuracy', 'exact_match', 'loss'] as const;
/** `accuracy` and `exact_match` are fractions in [0, 1], higher is better; `loss` is nats a token, lower is better. */
export type MetricName = (typeof METRICS)[number];

/** When an adapter is ready: see the method's `Gate`; values are in units of the metric. */
export type GateSpec = GateRule & { readonly maxNegativeFlips?: number };

/**
 * Where the rows come from: one JSONL file that is split deterministically into training, search and gate rows, or two
 * files, of which `validation` is split deterministically into search rows and gate rows. Without training rows (`train`
 * null, or a file whose rows all name other splits) an adapter is copied, reverted or searched, and not trained.
 */
export type DataSpec = { readonly file: string } | { readonly train: string | null; readonly validation: string };

/** Budgets and hyper-parameters; what is left out takes the default of `job-options.ts`. */
export interface AdaptOptions {
  readonly strategy?: Strategy;
  /** Of `auto`: whether the old behavior or the new base's gains are kept first. */
  readonly prefer?: Preference;
  /** Optimizer steps at most, of all training together. */
  readonly maxSteps?: number;
  readonly batchSize?: number;
  /** Peak, at the end of the warm-up, from an adapter that was carried over. The default depends on the model's width. */
  readonly learningRate?: number;
  /** The same of a fresh adapter. Default `learningRate` where that is given, else a higher one by the model's width. */
  readonly scratchLearningRate?: number;
  /** Optimizer steps between two looks at the gate. */
  readonly evaluateEvery?: number;
  /** Points that the search for α and β may measure, copy included. Default 6, of `relora-paper` 12. */
  readonly searchEvaluations?: number;
  /** Number of search rows that the search measures the loss on. */
  readonly searchRows?: number;
  /** Which of the two the search moves; the other one stays what it is in a copy. */
  readonly coefficients?: MovedCoefficients;
  /** Modules that share their coefficients; anything but `global` finds them by gradients in place of the search. */
  readonly grouping?: GroupingName;
  /** Largest rank that what is fused may grow to; 0 keeps the old adapter's. */
  readonly fusionRank?: number;
  /** Share of the fused target's energy that a grown rank is to hold, from above 0 to 1: the smallest such rank is taken. */
  readonly fusionEnergy?: number;
  /** Optimizer steps to go on after readiness; a candidate that is better beyond noise is published again. */
  readonly refineSteps?: number;
  /** Of `auto`: looks at the gate without a better one until fine-tuning gives up; 0: never. */
  readonly patience?: number;
  /** What the L2 penalty of fine-tuning pulls towards (default: the initial adapter). */
  readonly regularizeTowards?: RegularizationOptions['target'];
  /** What it pulls: the factors, or their product. */
  readonly regularizeSpace?: RegularizationOptions['space'];
  /** How its strength goes down over the run, and where it begins. */
  readonly regularizeSchedule?: RegularizationOptions['schedule'];
  readonly regularizeStrength?: number;
  readonly seed?: number;
}

/** One adaptation (or control) job. All paths are absolute folders or files that the child only reads. */
export interface JobSpec {
  readonly jobId: string;
  /** `control` trains from scratch, publishes nothing and ends at the first pass of the gate. */
  readonly kind: 'adaptation' | 'control';
  readonly oldBase: string;
  readonly newBase: string;
  /** PEFT folder of the adapter version for the old base. */
  readonly adapter: string;
  readonly data: DataSpec;
  readonly metric: MetricName;
  readonly gate: GateSpec;
  /** Folder written by an `evolve` request for this pair of bases; null computes it within the job. */
  readonly evolution: string | null;
  readonly options: AdaptOptions;
  /**
   * Folder of this job alone, on durable storage: checkpoints live here and a restart resumes from them. The worker
   * removes it when the job has ended for good.
   */
  readonly workDir: string;
  /** Searches of jobs that had finished in the same rollout when this one was started first. Default none. */
  readonly fleet?: FleetSearches;
  /** Of the adapter on the old base, if they were kept: it is measured where they are missing or of something else. */
  readonly old?: GateOutcomes | null;
  /** Id of the adapter version it is carried over from; goes into the published `readapt.json`. */
  readonly parent?: string;
  /** `needed` leaves out what only a report wants: the baselines that the target does not depend on. Default `all`. */
  readonly baselines?: 'all' | 'needed';
}

/** How an adapter did on the gate's rows, one by one: what a gate may compare the next version of it with. */
export interface GateOutcomes {
  /** Of what was measured beside base and adapter: metric, rows, choices, the base's precision. */
  readonly digest: string;
  readonly value: number;
  readonly standardError: number;
  /** In the rows' order: 1 right and 0 wrong; under `loss` the sum over its completion tokens, nats. */
  readonly values: readonly number[];
}

/** The difference of two base versions, computed once a pair. */
export interface EvolveSpec {
  readonly oldBase: string;
  readonly newBase: string;
  /** Rank of the factors kept for each module; left out, the method's default. */
  readonly rank?: number;
  /** Folder to write (created; replaced whole if it exists). */
  readonly outDir: string;
  readonly seed?: number;
}

export interface DescribeSpec {
  readonly base: string;
}

/** An adapter that was measured on the gate rows. */
export interface Candidate {
  readonly strategy: CandidateStrategy;
  /** Fusion coefficients of its initial adapter; null where it was not fused (`scratch`). */
  readonly alpha: number | null;
  readonly beta: number | null;
  /** Optimizer steps that went into it. */
  readonly step: number;
  readonly metric: MetricName;
  /** On the gate rows of the new base. */
  readonly value: number;
  readonly standardError: number;
  readonly examples: number;
  /** Did it pass the gate? */
  readonly passed: boolean;
  /** What the gate compares with the target where it is not the value: its confidence bound. */
  readonly bound: number | null;
  /** Share of the gate rows; null where the old version was not measured on them. */
  readonly negativeFlips: number | null;
  /** What of the gate was not passed. */
  readonly failed: readonly GateFailure[];
  readonly data: TaskRows;
}

/** `validation_only`: the tenant shares no training rows, so that nothing was or could have been trained. */
export type TaskRows = 'training' | 'validation_only';

/** What became of one rung of the strategy's ladder. */
export type Rung = Omit<RungReport, 'candidate'> & { readonly candidate: Candidate | null };

/** On the gate rows; null where not measured (yet). */
export interface Baselines {
  readonly old_on_v1: number | null;
  readonly v2_no_adapter: number | null;
  readonly v2_copy: number | null;
}

export interface MetricPointMessage {
  readonly name: string;
  readonly step: number;
  readonly value: number;
}

/** How an `adapt` request ended. */
export interface AdaptOutcome {
  readonly state: 'ready' | 'not_ready' | 'cancelled';
  /** The best candidate: the last one published where the job is ready, else the best so far; null if there is none. */
  readonly best: Candidate | null;
  /** Null where the job was cancelled before it was known. */
  readonly target: number | null;
  readonly baselines: Baselines;
  /** Every rung of the strategy in order; empty where the job ended before its first look at the gate. */
  readonly ladder: readonly Rung[];
  readonly data: TaskRows;
  readonly steps: number;
  readonly totalSteps: number;
  /** Milliseconds of this attempt's clock, by phase, up to readiness (or the end where it was not reached). */
  readonly phases: Readonly<Record<Phase, number>>;
  /** Milliseconds from the start of the request to the acknowledged first publication; null if not ready. */
  readonly readyMs: number | null;
  /** Real tokens trained on, and their rate over the seconds of the steps alone. */
  readonly tokens: number;
  readonly tokensPerSecond: number;
  /** Why fine-tuning ended before its budget, where it did not end by the gate (`training_diverged`). */
  readonly problem?: { readonly code: string; readonly message: string };
  /** Folder of the best candidate's PEFT files where nothing was published (not_ready); within `workDir`. */
  readonly candidateDir: string | null;
}

/** A named difference that makes two base versions incompatible. */
export interface BaseDifference {
  readonly field: string;
  readonly old: unknown;
  readonly new: unknown;
}

export interface EvolveOutcome {
  readonly dir: string;
  readonly rank: number;
  /** ‖W_new − W_old‖ / ‖W_old‖ over all adaptable modules. */
  readonly drift: number;
  /** Module by module figures (drift, captured energy). */
  readonly summary: Readonly<Record<string, unknown>>;
  readonly computeMs: number;
}

export interface DescribeOutcome {
  readonly config: ModelConfig;
  readonly fingerprint: string;
  readonly parameters: number;
}

/** Parent → child. */
export type ParentMessage =
  | { readonly type: 'adapt'; readonly requestId: string; readonly spec: JobSpec }
  | { readonly type: 'evolve'; readonly requestId: string; readonly spec: EvolveSpec }
  | { readonly type: 'describe'; readonly requestId: string; readonly spec: DescribeSpec }
  /** Stops the running request between two micro-batches; the outcome is `cancelled`. `keep`: a checkpoint is left. */
  | { readonly type: 'cancel'; readonly requestId: string; readonly keep: boolean }
  /** Loads base models that the next request probably needs. Has no answer; what cannot be loaded fails that request. */
  | { readonly type: 'preload'; readonly bases: readonly string[] }
  /** Answer to `publish`: the bytes and the row are durable. The child waits for it before it goes on. */
  | { readonly type: 'published'; readonly requestId: string; readonly sequence: number };

/** Child → parent. */
export type ChildMessage =
  /** Sent once, when the process listens. */
  | { readonly type: 'online' }
  /** A base was loaded; what its matrices are computed in, and why. */
  | { readonly type: 'loaded'; readonly folder: string; readonly precision: string; readonly reason: string }
  /** `at` is Date.now() of the child when the phase began. */
  | { readonly type: 'phase'; readonly requestId: string; readonly phase: Phase; readonly at: number }
  | {
      readonly type: 'progress';
      readonly requestId: string;
      readonly step: number;
      readonly totalSteps: number;
      /** Latest value of the gate's metric on the gate rows; null before the first. */
      readonly metric: number | null;
    }
  | { readonly type: 'metrics'; readonly requestId: string; readonly points: readonly MetricPointMessage[] }
  | {
      readonly type: 'search';
      readonly requestId: string;
      readonly index: number;
      readonly alpha: number;
      readonly beta: number;
      /** The first so many search rows, in the search's order, that the loss is of. */
      readonly rows: number;
      readonly loss: number;
      readonly durationMs: number;
    }
  /** May come several times; the latest is the most complete. `target` is null until it is known. */
  | {
      readonly type: 'baselines';
      readonly requestId: string;
      readonly target: number | null;
      readonly baselines: Baselines;
    }
  /** The adapter was measured on the old base. */
  | { readonly type: 'old'; readonly requestId: string; readonly outcomes: GateOutcomes }
  /** `dir` is a PEFT folder with `readapt.json`; it may be removed once `published` with the same sequence was sent. */
  | {
      readonly type: 'publish';
      readonly requestId: string;
      readonly sequence: number;
      readonly dir: string;
      readonly candidate: Candidate;
      readonly outcomes: GateOutcomes;
    }
  | { readonly type: 'outcome'; readonly requestId: string; readonly request: 'adapt'; readonly outcome: AdaptOutcome }
  | {
      readonly type: 'outcome';
      readonly requestId: string;
      readonly request: 'evolve';
      readonly outcome: EvolveOutcome;
    }
  | {
      readonly type: 'outcome';
      readonly requestId: string;
      readonly request: 'describe';
      readonly outcome: DescribeOutcome;
    }
  | {
      readonly type: 'error';
      readonly requestId: string;
      /** Stable, for example `incompatible_base_model_versions`, `training_diverged`, or a FormatError's code. */
      readonly code: string;
      readonly message: string;
      /** True: trying again cannot help (bad input). False: a fault of the machine or of this process. */
      readonly permanent: boolean;
      /** Set with `incompatible_base_model_versions`. */
      readonly differences?: readonly BaseDifference[];
    };

/** The reply messages that end a request. */
export type FinalMessage = Extract<ChildMessage, { type: 'outcome' | 'error' }>;
