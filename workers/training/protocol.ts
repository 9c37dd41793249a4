/**
 * Messages between a worker and its training process, over Node's IPC channel. The worker sends one request at a time
 * (`adapt`, `baselines`, `outcomes`, `provisional`, `evolve` or `describe`). During a request it may send `cancel` and
 * `published`, and between two `preload`. The training process answers with messages that carry the request's id; the
 * last one is an `outcome` or an `error`. Every message is plain JSON; large data travel as paths of folders.
 */
import type { BaselinesOutcome, BaselinesSpec } from '../../core/adaptation/baselines.ts';
import type { EvolveOutcome, EvolveSpec } from '../../core/adaptation/evolutions.ts';
import type { JobEvent } from '../../core/adaptation/job-events.ts';
import type { JobOutcome } from '../../core/adaptation/job-outcome.ts';
import type { JobSpec } from '../../core/adaptation/job-spec.ts';
import type { ProvisionalOutcome, ProvisionalSpec } from '../../core/adaptation/provisional.ts';
import type { OutcomesOutcome, OutcomesSpec } from '../../core/adaptation/measurements/version-outcomes.ts';
import type { BaseCacheOptions } from '../../core/engine/base-cache.ts';
import type { PrecisionChoice } from '../../core/engine/int8/precision-choice.ts';
import type { Difference } from '../../core/method/evolution/analysis/compatibility.ts';
import type { ModelConfig } from '../../core/models/config/model-config.ts';

/** Options of a training process, which its worker passes to it as JSON. */
export interface ProcessOptions extends Omit<BaseCacheOptions, 'memory' | 'onLoad' | 'onRelease'> {
  /** Number of bytes of memory that the process may use. Default: the machine's memory. */
  readonly memoryBytes?: number | null;
}

export interface DescribeSpec {
  readonly base: string;
}

export interface DescribeOutcome {
  readonly config: ModelConfig;
  readonly fingerprint: string;
  readonly parameters: number;
}

/** Types of requests, each with its input (`spec`) and its result (`outcome`). */
export interface Requests {
  adapt: { readonly spec: JobSpec; readonly outcome: JobOutcome };
  baselines: { readonly spec: BaselinesSpec; readonly outcome: BaselinesOutcome };
  outcomes: { readonly spec: OutcomesSpec; readonly outcome: OutcomesOutcome };
  evolve: { readonly spec: EvolveSpec; readonly outcome: EvolveOutcome };
  provisional: { readonly spec: ProvisionalSpec; readonly outcome: ProvisionalOutcome };
  describe: { readonly spec: DescribeSpec; readonly outcome: DescribeOutcome };
}
export type RequestType = keyof Requests;

/** Request to the training process, without the id that it gets when it is sent. */
export type RequestBody<Type extends RequestType = RequestType> = {
  [T in Type]: { readonly type: T; readonly spec: Requests[T]['spec'] };
}[Type];
export type Request = RequestBody & {
  readonly requestId: string;
  /** Trace context (W3C `traceparent`) of the span that contains the request; null if nothing is traced. */
  readonly traceparent?: string | null;
};

/** Failure of a request, as the training process reports it. */
export interface RequestFailure {
  /**
   * Code of the failure, which stays the same in later releases, for example `incompatible_base_model_versions`,
   * `training_diverged`, or the code of a FormatError.
   */
  readonly code: string;
  readonly message: string;
  /**
   * Whether the request would fail at every attempt, as with bad input. False after a fault of the machine or the
   * process.
   */
  readonly permanent: boolean;
  /** Stack trace of an unexpected error; absent for others, such as bad input. */
  readonly stack?: string;
  /** Differences between the two bases. Set only if the code is `incompatible_base_model_versions`. */
  readonly differences?: readonly Difference[];
}

/** Message from the worker to the training process. */
export type WorkerMessage =
  | Request
  /**
   * Stops the running request between two micro-batches; the request then ends as cancelled. With `keep`, it leaves a
   * checkpoint.
   */
  | { readonly type: 'cancel'; readonly requestId: string; readonly keep: boolean }
  /**
   * Loads bases that the next request probably needs. There is no answer; if a base cannot be loaded, the request that
   * needs it fails.
   */
  | { readonly type: 'preload'; readonly bases: readonly string[] }
  /** Tells the running job that its publication with this number is durable. The job waits for this message. */
  | { readonly type: 'published'; readonly requestId: string; readonly number: number };

/** Last message of the training process about a request, either its outcome or its error. */
export type FinalMessage =
  | {
      [T in RequestType]: {
        readonly type: 'outcome';
        readonly requestId: string;
        readonly request: T;
        readonly outcome: Requests[T]['outcome'];
      };
    }[RequestType]
  | ({ readonly type: 'error'; readonly requestId: string } & RequestFailure);

/** Message from the training process to the worker. */
export type TrainingMessage =
  /** Tells the worker, once, that the process is ready for requests. */
  | { readonly type: 'online' }
  /** Tells the worker that a base was loaded into memory, with its precision and the reason for that precision. */
  | ({ readonly type: 'loaded'; readonly folder: string } & PrecisionChoice)
  /** Tells the worker that a base was removed from memory. */
  | { readonly type: 'released'; readonly folder: string }
  | { readonly type: 'event'; readonly requestId: string; readonly event: JobEvent }
  | FinalMessage;
