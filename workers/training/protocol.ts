/**
 * The messages between a worker and its training process, over Node's IPC channel. The worker sends one request at a time
 * (`adapt`, `baselines`, `outcomes`, `provisional`, `evolve` or `describe`). During a request it may send `cancel` and `published`, and between two
 * `preload`. The training process answers with messages that carry the request's id; the last one is an `outcome` or an
 * `error`. Every message is plain JSON; large data travel as paths of folders.
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

/** The options of a training process, which it gets as JSON. */
export interface ProcessOptions extends Omit<BaseCacheOptions, 'memory' | 'onLoad' | 'onRelease'> {
  /** Bytes that the process may take. Default: what the machine has. */
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

/** The types of requests, with the specification and the outcome of each. */
export interface Requests {
  adapt: { readonly spec: JobSpec; readonly outcome: JobOutcome };
  baselines: { readonly spec: BaselinesSpec; readonly outcome: BaselinesOutcome };
  outcomes: { readonly spec: OutcomesSpec; readonly outcome: OutcomesOutcome };
  evolve: { readonly spec: EvolveSpec; readonly outcome: EvolveOutcome };
  provisional: { readonly spec: ProvisionalSpec; readonly outcome: ProvisionalOutcome };
  describe: { readonly spec: DescribeSpec; readonly outcome: DescribeOutcome };
}
export type RequestType = keyof Requests;

/** A request without its id. */
export type RequestBody<Type extends RequestType = RequestType> = {
  [T in Type]: { readonly type: T; readonly spec: Requests[T]['spec'] };
}[Type];
export type Request = RequestBody & {
  readonly requestId: string;
  /** The span that the request is a part of; null where nothing is traced. */
  readonly traceparent?: string | null;
};

/** Why a request failed. */
export interface Failure {
  /** A stable code, for example `incompatible_base_model_versions`, `training_diverged`, or that of a FormatError. */
  readonly code: string;
  readonly message: string;
  /** True for bad input, which fails at every attempt; false for a fault of the machine or the process. */
  readonly permanent: boolean;
  /** Where an error that nobody foresees was thrown. */
  readonly stack?: string;
  /** Set if the code is `incompatible_base_model_versions`. */
  readonly differences?: readonly Difference[];
}

/** A message from the worker to the training process. */
export type WorkerMessage =
  | Request
  /** Stops the running request between two micro-batches; its outcome is `cancelled`. `keep` leaves a checkpoint. */
  | { readonly type: 'cancel'; readonly requestId: string; readonly keep: boolean }
  /** Loads bases that the next request probably needs. It has no answer; a base that cannot be loaded fails that request. */
  | { readonly type: 'preload'; readonly bases: readonly string[] }
  /** The publication with this number is durable; the job waits for it before it continues. */
  | { readonly type: 'published'; readonly requestId: string; readonly number: number };

/** The message that ends a request. */
export type FinalMessage =
  | {
      [T in RequestType]: {
        readonly type: 'outcome';
        readonly requestId: string;
        readonly request: T;
        readonly outcome: Requests[T]['outcome'];
      };
    }[RequestType]
  | ({ readonly type: 'error'; readonly requestId: string } & Failure);

/** A message from the training process to the worker. */
export type TrainingMessage =
  /** Sent once, when the process listens. */
  | { readonly type: 'online' }
  /** A base was loaded, in this precision and for this reason. */
  | ({ readonly type: 'loaded'; readonly folder: string } & PrecisionChoice)
  /** A base that was loaded is no longer. */
  | { readonly type: 'released'; readonly folder: string }
  | { readonly type: 'event'; readonly requestId: string; readonly event: JobEvent }
  | FinalMessage;
