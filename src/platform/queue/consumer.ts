import { DelayedError, UnrecoverableError, WaitingError, type Job } from 'bullmq';
import { Value } from 'typebox/value';
import { backoff } from '../../lib/backoff.ts';
import type { Logger } from '../../lib/logger.ts';
import { startDeadline } from '../../lib/timeout.ts';
import type { QueueBackend, QueueWorker } from './backend.ts';
import {
  CATALOG,
  isEntryName,
  ENTRY_NAMES,
  QUEUES,
  type EntryName,
  type EntryPayload,
  type QueueName,
} from './catalog.ts';
import { createQuarantine, type Quarantine, type QuarantineOptions } from './quarantine.ts';
import { endOf, type AttemptContext, type AttemptEnd } from './retry-policy.ts';
import { RETURN_MS, Turns } from './turns.ts';

export interface HandlerContext extends AttemptContext {
  readonly logger: Logger;
}

/**
 * Handles one entry. A handler is idempotent, because it may get the same entry again at any time. The class of its
 * error tells the queue how the attempt ends ({@link endOf}).
 */
type Handler<Name extends EntryName> = (payload: EntryPayload<Name>, context: HandlerContext) => Promise<void>;
export type Handlers = { readonly [Name in EntryName]: Handler<Name> };
/** Handlers of the entries of one part of the worker, by the names of the entries. */
export type HandlerSet = Partial<Handlers>;

/** Merges sets of handlers into one. @throws Error if an entry of the catalog does not have exactly one handler */
export function combineHandlers(sets: readonly HandlerSet[]): Handlers {
  const problems: string[] = [];
  for (const name of ENTRY_NAMES) {
    const count = sets.filter((set) => set[name] !== undefined).length;
    if (count !== 1) problems.push(`job ${name} has ${count} handlers, expected one`);
  }
  for (const name of sets.flatMap((set) => Object.keys(set))) {
    if (!isEntryName(name)) problems.push(`there is a handler for ${name}, which is not in the catalog`);
  }
  if (problems.length > 0) throw new Error(problems.join('; '));
  return Object.assign({}, ...sets) as Handlers;
}

/**
 * Duration of a worker's lock on a running entry, in milliseconds. The worker renews it while it lives; once it
 * expires, another worker may take the entry.
 */
export const LOCK_MS = 15_000;

export interface ConsumerOptions {
  backend: QueueBackend;
  handlers: Handlers;
  logger: Logger;
  concurrency?: Partial<Record<QueueName, number>>;
  /**
   * Time without a sign of life after which a worker counts as dead, and another one gets its entry, in milliseconds
   * (default {@link LOCK_MS}).
   */
  lockMs?: number;
  /** Interval at which a worker looks for entries of dead workers, in milliseconds (default 5,000). */
  stalledCheckMs?: number;
  quarantine?: QuarantineOptions;
  /** Description of a problem with the worker's clock when the consumer starts; null if there is none (the default). */
  clockProblem?: string | null;
  /** Object that is told of each entry and of each quarantine, for logs and metrics. */
  observer?: ConsumerObserver;
}

/** Receiver of what happens in a consumer. */
export interface ConsumerObserver {
  /**
   * Called when an entry begins to run.
   * @returns a function to call when the attempt ends, with its result and its duration in milliseconds
   */
  begin(jobId: string, name: EntryName): (result: AttemptResult, ms: number) => void;
  /** Called when the quarantine of this worker begins, and when it ends. */
  quarantine(active: Quarantine['active']): void;
}

/** Result of an attempt: done, failed, a fault of the machine, or put off without using up an attempt. */
type AttemptResult = 'done' | 'failed' | 'fault' | 'put_off';

export interface Consumer {
  /**
   * Pauses the consumer: it takes no further entries. Resolves when the running entries have ended, or never if {@link
   * resume} is called before.
   */
  rest(): Promise<void>;
  /** Lets the consumer take entries again after {@link rest}. */
  resume(): void;
  /** Takes no further entries for good, and waits until the running entries have ended. */
  drain(): Promise<void>;
  /** Ends a quarantine of this worker, unless a problem with its clock is the reason. */
  liftQuarantine(): void;
  /**
   * Sets or clears the problem with the worker's clock. While there is one, the worker takes no entries and writes no
   * times to the queue, and running entries are put off.
   * @param problem description of the problem; null if there is none
   */
  setClockProblem(problem: string | null): void;
  /** Takes no further entries for good, aborts the signals of the running ones, and waits until they have ended. */
  stop(): Promise<void>;
}

/** State of a consumer that all its entries share. */
interface Shared extends ConsumerOptions {
  stopping: AbortSignal;
  /** Whether the consumer takes no further entries, at present or for good. */
  draining: boolean;
  /** Number of running entries, and the callbacks to call when it falls to 0. */
  running: number;
  whenIdle: (() => void)[];
  turns: Turns;
  sickness: Quarantine;
  /**
   * Controller whose signal aborts when a problem with the worker's clock is found. A new controller replaces it when
   * the problem is over.
   */
  clock: AbortController;
  /** Names of entries that the consumer has met and that this version does not know. */
  unknownNames: Set<string>;
}

/** Starts one BullMQ worker per queue. Only entries of one queue run at a time. */
export async function startConsumer(options: ConsumerOptions): Promise<Consumer> {
  const { backend, logger, lockMs = LOCK_MS, stalledCheckMs = 5000 } = options;
  const stopping = new AbortController();
  const workers = new Map<QueueName, QueueWorker>();
  /** Pauses or resumes each BullMQ worker, so that it fetches entries only while the consumer may take them. */
  const direct = (): void => {
    if (stopping.signal.aborted) return;
    for (const [queue, worker] of workers) {
      const paused = shared.draining || sickness.active !== null || turns.isBlocked(queue);
      if (paused === worker.isPaused()) continue;
      const done = paused ? worker.pause(true) : worker.resume();
      done.catch((error: unknown) => logger.warn({ err: error, queue }, 'queue worker'));
    }
  };
  const turns = new Turns(direct);
  const onQuarantine = (): void => {
    direct();
    options.observer?.quarantine(sickness.active);
  };
  const sickness = createQuarantine(logger, { pause: onQuarantine, resume: onQuarantine }, options.quarantine);
  const shared: Shared = {
    ...options,
    stopping: stopping.signal,
    draining: false,
    running: 0,
    whenIdle: [],
    turns,
    sickness,
    clock: new AbortController(),
    unknownNames: new Set(),
  };
  const setClockProblem = (problem: string | null): void => {
    const before = shared.clock;
    if (problem === null && before.signal.aborted) shared.clock = new AbortController();
    sickness.hold(problem);
    if (problem !== null) before.abort(new Error(problem));
  };
  const { clockProblem = null } = options;
  setClockProblem(clockProblem);
  for (const queue of QUEUES) {
    const worker = backend.createWorker(queue, (job, token) => takeTurn(shared, queue, job, token), {
      concurrency: options.concurrency?.[queue] ?? 1,
      lockDuration: lockMs,
      stalledInterval: stalledCheckMs,
      // The handler limits how often an entry may lose its worker, by a count in the row.
      maxStalledCount: 1_000_000,
      // A worker with a wrong clock must not even look for stalled entries.
      autorun: clockProblem === null,
    });
    if (clockProblem !== null) void worker.pause(true);
    worker.on('error', (error) => logger.warn({ err: error, queue }, 'queue worker'));
    workers.set(queue, worker);
  }
  const all = [...workers.values()];
  await Promise.all(all.map((worker) => worker.waitUntilReady()));
  return {
    rest: async () => {
      shared.draining = true;
      direct();
      if (shared.running > 0) await new Promise<void>((resolve) => shared.whenIdle.push(resolve));
    },
    resume: () => {
      shared.draining = false;
      shared.whenIdle = [];
      direct();
    },
    drain: async () => {
      shared.draining = true;
      sickness.stop();
      await Promise.all(all.map((worker) => worker.close()));
    },
    liftQuarantine: () => sickness.lift(),
    setClockProblem,
    stop: async () => {
      const paused = all.map((worker) => worker.pause(true));
      stopping.abort(new Error('the worker is stopping'));
      sickness.stop();
      await Promise.all(paused);
      await Promise.all(all.map((worker) => worker.close()));
    },
  };
}

/**
 * Runs an entry. If entries of another queue occupy the device, or if the consumer takes no entries at present, puts
 * the entry back into its queue instead.
 */
async function takeTurn(shared: Shared, queue: QueueName, job: Job, token?: string): Promise<void> {
  // A BullMQ worker that was already waiting for an entry still gets one after it was paused. A pause may also begin
  // while an entry waits for its turn.
  const takesNone = () => shared.stopping.aborted || shared.sickness.active !== null || shared.draining;
  const end = takesNone() ? null : await shared.turns.take(queue);
  if (end === null || takesNone()) {
    end?.();
    return putOff(shared, job, token, RETURN_MS);
  }
  shared.running++;
  try {
    await runEntry(shared, job, token);
  } finally {
    shared.running--;
    if (shared.running === 0) for (const resolve of shared.whenIdle.splice(0)) resolve();
    end();
  }
}

async function runEntry(shared: Shared, job: Job, token?: string): Promise<void> {
  const { name } = job;
  const logger = shared.logger.child({ job: name, queueJobId: job.id });
  if (!isEntryName(name)) {
    if (!shared.unknownNames.has(name)) logger.warn('a job of a newer version is left to workers that know its name');
    shared.unknownNames.add(name);
    return putOff(shared, job, token, unknownDelay(job));
  }
  const { attempts, timeoutMs, payload } = CATALOG[name];
  if (!Value.Check(payload, job.data)) {
    throw new UnrecoverableError(`queue job ${name} ${job.id ?? ''} has a payload that does not match its schema`);
  }
  const deadline = startDeadline(timeoutMs);
  const context: HandlerContext = {
    signal: AbortSignal.any([shared.stopping, shared.clock.signal, deadline.signal]),
    lastAttempt: job.attemptsMade + 1 >= (job.opts.attempts ?? attempts),
    logger,
  };
  const startedAt = performance.now();
  const observed = shared.observer?.begin(job.id ?? '', name);
  const ended = (result: AttemptResult) => observed?.(result, performance.now() - startedAt);
  try {
    await (shared.handlers[name] as Handler<EntryName>)(job.data, context);
    shared.sickness.success(job.id ?? '');
    ended('done');
  } catch (error) {
    const attempt = endOf(error);
    const { end } = attempt;
    ended(end === 'fail' || end === 'retry' ? 'failed' : end === 'worker-fault' ? 'fault' : 'put_off');
    await tellQueue(attempt, { shared, job, token, logger });
  } finally {
    deadline.clear();
  }
}

/** Shortest and longest delay of entries that only a newer version knows, in milliseconds. */
const FIRST_UNKNOWN_MS = 500;
const LONGEST_UNKNOWN_MS = 30_000;

interface Failed {
  shared: Shared;
  job: Job;
  token: string | undefined;
  logger: Logger;
}

/** Tells BullMQ how an attempt ended, by throwing the kind of error that BullMQ expects. */
async function tellQueue({ end, error }: AttemptEnd, { shared, job, token, logger }: Failed): Promise<never> {
  switch (end) {
    case 'stopped':
    case 'put-off':
      logger.debug({ reason: error.message, delayMs: error.delayMs }, 'job put off');
      if (error.priority !== undefined) await job.changePriority({ priority: error.priority });
      return putOff(shared, job, token, error.delayMs);
    case 'worker-fault': {
      const delayMs = shared.sickness.fault(job.id ?? '', error.message);
      logger.warn({ err: error, delayMs }, 'job put off: the machine of this worker has failed');
      return putOff(shared, job, token, delayMs);
    }
    case 'fail':
      logger.error({ err: error }, 'job failed');
      throw new UnrecoverableError(error.message);
    case 'retry':
      logger.warn({ err: error, attempt: job.attemptsMade + 1 }, 'job attempt failed');
      throw error;
  }
}

/**
 * Delay of an entry that only a newer version knows. It doubles each time that a worker meets the entry, so that a
 * queue full of such entries does not keep old workers busy.
 */
function unknownDelay({ attemptsStarted }: Job): number {
  return backoff(FIRST_UNKNOWN_MS, attemptsStarted, LONGEST_UNKNOWN_MS);
}

async function putOff(shared: Shared, job: Job, token: string | undefined, delayMs: number): Promise<never> {
  if (shared.clock.signal.aborted) {
    // A delay would end by the wrong clock, so the entry goes back without one, for another worker.
    await job.moveToWait(token);
    throw new WaitingError();
  }
  await job.moveToDelayed(Date.now() + delayMs, token);
  throw new DelayedError();
}
