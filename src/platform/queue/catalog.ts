import Type, { type Static, type TObject } from 'typebox';
import { Id } from '../contract/schemas.ts';

/** Names of the queues. A worker process consumes each of them with one BullMQ worker. */
export const QUEUES = ['rollouts', 'adaptations'] as const;
export type QueueName = (typeof QUEUES)[number];

export interface CatalogEntry {
  readonly queue: QueueName;
  /** Schema of the payload, which has only identifiers: the handler reads the rows itself. */
  readonly payload: TObject;
  /**
   * Largest number of attempts that may end with a transient error: at the last one, the entry fails. An attempt that
   * ends because its worker dies does not count.
   */
  readonly attempts: number;
  /**
   * Largest number of times that an entry may be started. An entry that has been started more often is given up as one
   * that kills its workers. A start does not count if the worker stopped or its machine failed. `Infinity` if starts
   * are not counted.
   */
  readonly maxStarts: number;
  readonly backoff: { readonly type: 'exponential'; readonly delay: number };
  /** Time after which the handler's signal aborts, in milliseconds. */
  readonly timeoutMs: number;
}

const HOUR_MS = 3_600_000;

/** All kinds of queue entries, by name. */
export const CATALOG = {
  /** Entry for a rollout that is to be analyzed and whose jobs are to be planned. */
  'rollout.plan': {
    queue: 'rollouts',
    payload: Type.Object({ rolloutId: Id('rollout') }, { additionalProperties: false }),
    attempts: 5,
    maxStarts: 5,
    backoff: { type: 'exponential', delay: 1000 },
    timeoutMs: HOUR_MS,
  },
  /** Entry for a forecast: the effects of a rollout are computed without beginning one. */
  'rollout.forecast': {
    queue: 'rollouts',
    payload: Type.Object({ forecastId: Id('forecast') }, { additionalProperties: false }),
    attempts: 5,
    maxStarts: 5,
    backoff: { type: 'exponential', delay: 1000 },
    timeoutMs: HOUR_MS,
  },
  /** Entry for a job that is to run: an adaptation, or a control of a rollout. */
  'adaptation.run': {
    queue: 'adaptations',
    payload: Type.Object({ jobId: Id('job') }, { additionalProperties: false }),
    attempts: 4,
    maxStarts: 25,
    backoff: { type: 'exponential', delay: 1000 },
    timeoutMs: 6 * HOUR_MS,
  },
  /**
   * Entry for a job whose adapter is to get a provisional version before the job itself may run. Nobody has measured a
   * provisional version.
   */
  'adaptation.provision': {
    queue: 'adaptations',
    payload: Type.Object({ jobId: Id('job') }, { additionalProperties: false }),
    attempts: 4,
    maxStarts: 10,
    backoff: { type: 'exponential', delay: 1000 },
    timeoutMs: HOUR_MS,
  },
  /** Entry for a job that has ended. Baselines that only the report of the job needs are to be measured. */
  'baselines.measure': {
    queue: 'adaptations',
    payload: Type.Object({ jobId: Id('job') }, { additionalProperties: false }),
    attempts: 4,
    maxStarts: Infinity,
    backoff: { type: 'exponential', delay: 1000 },
    timeoutMs: HOUR_MS,
  },
  /** Entry for an adapter version that is to be measured on its gate rows before a rollout needs the result. */
  'outcomes.measure': {
    queue: 'adaptations',
    payload: Type.Object({ versionId: Id('adapterVersion') }, { additionalProperties: false }),
    attempts: 4,
    maxStarts: 10,
    backoff: { type: 'exponential', delay: 5000 },
    timeoutMs: HOUR_MS,
  },
} as const satisfies Record<string, CatalogEntry>;

/**
 * Limits of the verification of an uploaded base model. Processes claim a verification from its row and not from a
 * queue. The delay before the next attempt grows by `delay` milliseconds with each attempt, up to `longest`, so all
 * attempts together take some hours.
 */
export const UPLOAD_VERIFICATION = { attempts: 100, backoff: { delay: 10_000, longest: 300_000 } };

export type EntryName = keyof typeof CATALOG;
export type EntryPayload<Name extends EntryName> = Static<(typeof CATALOG)[Name]['payload']>;

export const ENTRY_NAMES = Object.keys(CATALOG) as EntryName[];

export function isEntryName(name: string): name is EntryName {
  return Object.hasOwn(CATALOG, name);
}

/**
 * Entry of a queue, with a name and a payload of identifiers. The `id` of an entry is derived from the identifier of
 * the database row that the entry is for, so enqueuing the same row again changes nothing.
 */
export type QueueEntry = {
  [Name in EntryName]: {
    readonly name: Name;
    readonly id: string;
    readonly payload: EntryPayload<Name>;
    /**
     * Priority of the entry. Entries with lower numbers run first. Entries without a priority run before all that have
     * one.
     */
    readonly priority?: number;
  };
}[EntryName];
