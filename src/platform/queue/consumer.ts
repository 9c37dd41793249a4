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
 * Runs one job. It is idempotent, since it may get the same job again at any time. The class of its error tells the
 * queue how the attempt ends ({@link endOf}).
 */
type Handler<Name extends EntryName> = (payload: EntryPayload<Name>, context: HandlerContext) => Promise<void>;
export type Handlers = { readonly [Name in EntryName]: Handler<Name> };
/** The handlers of one part of the worker. */
export type HandlerSet = Partial<Handlers>;

/** Merges handlers. @throws Error if an entry of the catalog does not have exactly one handler */
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
   * After this time without a sign of life a worker counts as dead, and another gets its job (default {@link LOCK_MS}).
   */
  lockMs?: number;
  /** Interval between checks for dead workers (default 5,000 ms). */
  stalledCheckMs?: number;
  quarantine?: QuarantineOptions;
  /** Problem with the worker's clock at the start; null if there is none (default). */
  clockProblem?: string | null;
  /** Observer of each job and of each quarantine. */
  observer?: ConsumerObserver;
}

/** Observer of a consumer's work. */
export interface ConsumerObserver {
  /** An entry begins. @returns what to call with its end and its time in milliseconds */
  begin(jobId: string, name: EntryName): (result: AttemptResult, ms: number) => void;
  /** The consumer is quarantined, or no longer. */
  quarantine(active: Quarantine['active']): void;
}

/** Result of an attempt: done, failed, a fault of the machine, or put off before its work began. */
type AttemptResult = 'done' | 'failed' | 'fault' | 'put_off';

export interface Consumer {
  /**
   * Takes no further jobs until it is resumed. Resolves when the running ones have ended; never if it is resumed
   * before.
   */
  rest(): Promise<void>;
  /** Takes jobs again after a rest. */
  resume(): void;
  /** Takes no further jobs for good and waits for the running ones. */
  drain(): Promise<void>;
  /** Ends a quarantine, unless the clock is its reason. */
  liftQuarantine(): void;
  /**
   * While something is wrong with the worker's clock, it takes no jobs, and the queue is told no times. Running jobs
   * are put off.
   * @param problem what is wrong; null if nothing is
   */
  setClockProblem(problem: string | null): void;
  /** Takes no further jobs, tells the running ones to stop and waits for them. */
  stop(): Promise<void>;
}

/** State shared by the jobs of a consumer. */
interface Shared extends ConsumerOptions {
  stopping: AbortSignal;
  /** Whether it takes no further jobs. */
  draining: boolean;
  /** Number of jobs that run, and who waits for their end. */
  running: number;
  whenIdle: (() => void)[];
  turns: Turns;
  sickness: Quarantine;
  /** Aborts when something is found to be wrong with the clock; a new one follows when it is right again. */
  clock: AbortController;
  /** The names that this version does not know and has met. */
  unknownNames: Set<string>;
}

/** Starts one BullMQ worker per queue. Jobs of one queue run at a time. */
export async function startConsumer(options: ConsumerOptions): Promise<Consumer> {
  const { backend, logger, lockMs = LOCK_MS, stalledCheckMs = 5000 } = options;
  const stopping = new AbortController();
  const workers = new Map<QueueName, QueueWorker>();
  /** Lets each BullMQ worker fetch jobs, or not. */
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
      // The handler limits how often an entry may lose its worker: it counts that in the row.
      maxStalledCount: 1_000_000,
      // A worker with a wrong clock must not even look for stalled jobs.
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

/** Runs an entry, or gives it back if another queue's job keeps the device or the worker is quarantined. */
async function takeTurn(shared: Shared, queue: QueueName, job: Job, token?: string): Promise<void> {
  // A worker that was waiting for an entry when it was told to fetch none still gets one, and one may be told so while
  // an entry waits for its turn.
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

/** In milliseconds. */
const FIRST_UNKNOWN_MS = 500;
const LONGEST_UNKNOWN_MS = 30_000;

interface Failed {
  shared: Shared;
  job: Job;
  token: string | undefined;
  logger: Logger;
}

/** Tells BullMQ how an attempt ended, by throwing its kind of error. */
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
 * Delay of an entry that only a newer version knows. It doubles each time that a worker has met the entry, so that a
 * queue full of them does not keep old workers busy.
 */
function unknownDelay({ attemptsStarted }: Job): number {
  return backoff(FIRST_UNKNOWN_MS, attemptsStarted, LONGEST_UNKNOWN_MS);
}

async function putOff(shared: Shared, job: Job, token: string | undefined, delayMs: number): Promise<never> {
  if (shared.clock.signal.aborted) {
    // A delay would end by the wrong clock, so the job waits for another worker without one.
    await job.moveToWait(token);
    throw new WaitingError();
  }
  await job.moveToDelayed(Date.now() + delayMs, token);
  throw new DelayedError();
}
