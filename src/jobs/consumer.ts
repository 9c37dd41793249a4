import { DelayedError, UnrecoverableError, type Job } from 'bullmq';
import { Value } from 'typebox/value';
import type { Logger } from '../lib/logger.ts';
import type { QueueBackend, QueueWorker } from './backend.ts';
import { CATALOG, isJobName, JOB_NAMES, QUEUES, type JobName, type JobPayload, type QueueName } from './catalog.ts';

export interface HandlerContext {
  /** Aborts when the worker stops or the job's time is over. */
  readonly signal: AbortSignal;
  /** True if a transient error now is the last one: there is no further try. */
  readonly lastAttempt: boolean;
  readonly logger: Logger;
}

/**
 * Runs one job. It is idempotent: the same job may be handed to it again at any time. It throws a {@link PermanentError}
 * where trying again cannot help, a {@link TryLaterError} where it is too early, and anything else to be retried.
 */
type Handler<Name extends JobName> = (payload: JobPayload<Name>, context: HandlerContext) => Promise<void>;
export type Handlers = { readonly [Name in JobName]: Handler<Name> };
/** What a module contributes. */
export type HandlerSet = Partial<Handlers>;

/** Trying again cannot help. */
export class PermanentError extends Error {
  /** Stable; what rows and answers say. */
  readonly code: string;

  constructor(message: string, options: { code?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'PermanentError';
    this.code = options.code ?? 'failed';
  }
}

/** Not now: the job goes back to the queue for `delayMs`, without using up a try. */
export class TryLaterError extends Error {
  readonly delayMs: number;

  constructor(message: string, delayMs: number) {
    super(message);
    this.name = 'TryLaterError';
    this.delayMs = delayMs;
  }
}

/** Checks at the start that every job of the catalog has exactly one handler. @throws Error naming those that do not. */
export function combineHandlers(sets: readonly HandlerSet[]): Handlers {
  const problems: string[] = [];
  for (const name of JOB_NAMES) {
    const count = sets.filter((set) => set[name] !== undefined).length;
    if (count !== 1) problems.push(`job ${name} has ${count} handlers, expected one`);
  }
  for (const name of sets.flatMap((set) => Object.keys(set))) {
    if (!isJobName(name)) problems.push(`there is a handler for ${name}, which the catalog does not have`);
  }
  if (problems.length > 0) throw new Error(problems.join('; '));
  return Object.assign({}, ...sets) as Handlers;
}

export interface ConsumerOptions {
  backend: QueueBackend;
  handlers: Handlers;
  logger: Logger;
  concurrency?: Partial<Record<QueueName, number>>;
  /** A worker that has not been heard of for so long has died, and its job goes to another (default 15,000 ms). */
  lockMs?: number;
  /** How often that is looked for (default 5,000 ms). */
  stalledCheckMs?: number;
}

export interface Consumer {
  /** Takes no further job, tells the running ones to stop and waits for them. */
  stop(): Promise<void>;
}

/** One BullMQ worker a queue. */
export async function startConsumer(options: ConsumerOptions): Promise<Consumer> {
  const { backend, logger, lockMs = 15_000, stalledCheckMs = 5000 } = options;
  const stopping = new AbortController();
  const workers: QueueWorker[] = [];
  for (const queue of QUEUES) {
    const worker = backend.createWorker(queue, (job, token) => runJob(options, stopping.signal, job, token), {
      concurrency: options.concurrency?.[queue] ?? 1,
      lockDuration: lockMs,
      stalledInterval: stalledCheckMs,
      // How often a job may lose its worker is for its handler to decide, which counts that in the row.
      maxStalledCount: 1_000_000,
    });
    worker.on('error', (error) => logger.warn({ err: error, queue }, 'queue worker'));
    workers.push(worker);
  }
  await Promise.all(workers.map((worker) => worker.waitUntilReady()));
  return {
    stop: async () => {
      await Promise.all(workers.map((worker) => worker.pause(true)));
      stopping.abort(new Error('the worker is stopping'));
      await Promise.all(workers.map((worker) => worker.close()));
    },
  };
}

async function runJob(options: ConsumerOptions, stopping: AbortSignal, job: Job, token?: string): Promise<void> {
  const { name } = job;
  const logger = options.logger.child({ job: name, queueJobId: job.id });
  if (!isJobName(name))
    throw new UnrecoverableError(`job ${job.id ?? ''} is called ${name}, which the catalog does not have`);
  const { attempts, timeoutMs, payload } = CATALOG[name];
  if (!Value.Check(payload, job.data)) {
    throw new UnrecoverableError(`job ${name} ${job.id ?? ''} has a payload that does not fit its schema`);
  }
  const context: HandlerContext = {
    signal: AbortSignal.any([stopping, AbortSignal.timeout(timeoutMs)]),
    lastAttempt: job.attemptsMade + 1 >= (job.opts.attempts ?? attempts),
    logger,
  };
  try {
    await (options.handlers[name] as Handler<JobName>)(job.data, context);
  } catch (error) {
    await translate(error, job, token, logger);
  }
}

/** Handlers know nothing of BullMQ: their errors become what it understands. */
async function translate(error: unknown, job: Job, token: string | undefined, logger: Logger): Promise<never> {
  if (error instanceof TryLaterError) {
    logger.debug({ reason: error.message, delayMs: error.delayMs }, 'job put off');
    await job.moveToDelayed(Date.now() + error.delayMs, token);
    throw new DelayedError();
  }
  if (error instanceof PermanentError) {
    logger.error({ err: error }, 'job failed');
    throw new UnrecoverableError(error.message);
  }
  logger.warn({ err: error, attempt: job.attemptsMade + 1 }, 'job attempt failed');
  throw error;
}
