import Type, { type Static, type TObject } from 'typebox';
import { Id } from '../lib/schemas.ts';

/** Queues, one worker each. */
export const QUEUES = ['rollouts', 'adaptations'] as const;
export type QueueName = (typeof QUEUES)[number];

export interface CatalogEntry {
  readonly queue: QueueName;
  /** Identifiers only: whoever runs the job reads the rows. */
  readonly payload: TObject;
  /** Tries at most when a try ends with a transient error. A worker that dies does not use up a try. */
  readonly attempts: number;
  readonly backoff: { readonly type: 'exponential'; readonly delay: number };
  /** After this the handler's signal aborts, in milliseconds. */
  readonly timeoutMs: number;
}

const HOUR_MS = 3_600_000;

/** Every kind of job there is. */
export const CATALOG = {
  /** Analysis and plan of a rollout; once it is done, the adaptations carry the rollout. */
  'rollout.plan': {
    queue: 'rollouts',
    payload: Type.Object({ rolloutId: Id('rollout') }, { additionalProperties: false }),
    attempts: 5,
    backoff: { type: 'exponential', delay: 1000 },
    timeoutMs: HOUR_MS,
  },
  /** One adapter of a rollout, or its control. */
  'adaptation.run': {
    queue: 'adaptations',
    payload: Type.Object({ jobId: Id('job') }, { additionalProperties: false }),
    attempts: 4,
    backoff: { type: 'exponential', delay: 1000 },
    timeoutMs: 6 * HOUR_MS,
  },
} as const satisfies Record<string, CatalogEntry>;

export type JobName = keyof typeof CATALOG;
export type JobPayload<Name extends JobName> = Static<(typeof CATALOG)[Name]['payload']>;

export const JOB_NAMES = Object.keys(CATALOG) as JobName[];

export function isJobName(name: string): name is JobName {
  return Object.hasOwn(CATALOG, name);
}

/** A job to be run: `id` is the row's own identifier, so that a second enqueue of the same row changes nothing. */
export type JobEntry = {
  [Name in JobName]: {
    readonly name: Name;
    readonly id: string;
    readonly payload: JobPayload<Name>;
    /** Left out it runs before everything that has one; with one, lower runs first. */
    readonly priority?: number;
  };
}[JobName];
