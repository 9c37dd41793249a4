import type { BaselinesOutcome, BaselinesSpec } from '../../core/adaptation/baselines.ts';
import type { EvolveOutcome, EvolveSpec } from '../../core/adaptation/evolutions.ts';
import type { JobEventHandler } from '../../core/adaptation/job-events.ts';
import type { JobOutcome } from '../../core/adaptation/job-outcome.ts';
import type { JobSpec } from '../../core/adaptation/job-spec.ts';
import type { ProvisionalOutcome, ProvisionalSpec } from '../../core/adaptation/provisional.ts';
import type { OutcomesOutcome, OutcomesSpec } from '../../core/adaptation/measurements/version-outcomes.ts';
import { modulePath } from '../../core/installation/child-module.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { abortable } from './abortable.ts';
import { OUT_OF_MEMORY } from './out-of-memory.ts';
import type { DescribeOutcome, DescribeSpec, ProcessOptions, RequestBody, Requests, RequestType } from './protocol.ts';
import { TrainingChild, type ChildOptions } from './training-child.ts';
import { ranOutOfMemory, TrainingFailedError } from './training-errors.ts';

const ENTRY = modulePath('./process', import.meta.url);

export interface TrainingProcessOptions {
  logger: Logger;
  /** Path of the script that the training process runs. Default: `workers/training/process.ts`. */
  entry?: string;
  /**
   * Options of the training process and of the base models that it keeps in memory: device, precision, threads, caches
   * and memory.
   */
  bases?: ProcessOptions;
  /** Address to which the training process sends its trace spans. Default: nothing is traced. */
  otlpEndpoint?: string | null;
  startTimeoutMs?: number;
  /**
   * Longest time that a cancelled request may take to end, if its work is to be kept, before the process is killed, in
   * milliseconds.
   */
  cancelGraceMs?: number;
  /** Longest time that the request of a paused job may take to end before the process is killed, in milliseconds. */
  pauseGraceMs?: number;
  /**
   * Longest time that a cancelled request may take to end, if its work is no longer needed, before the process is
   * killed, in milliseconds.
   */
  abandonGraceMs?: number;
  /**
   * Called after each change of the bases in the memory of the training process, with the folders of all bases there.
   */
  onLoaded?: (folders: readonly string[]) => void;
}

/**
 * Milliseconds that a cancelled request may take to end if it is resumed later, as when its worker stops. It ends after
 * a micro-batch and after its checkpoint is written. If that takes longer, the work since the last checkpoint is lost.
 */
const CANCEL_GRACE_MS = 15_000;

/**
 * Milliseconds that the request of a paused job may take to end. The work since the last checkpoint may be lost, and is
 * then computed again when the job resumes; in return, the caller that paused the job has the device soon.
 */
const PAUSE_GRACE_MS = 2000;

/**
 * Milliseconds that a request whose work is no longer needed may take to end by itself. If it does, the process keeps
 * its bases loaded; otherwise the process is killed.
 */
const ABANDON_GRACE_MS = 100;

/** Exclusive use of a device's training process, from its acquisition to its release. */
export interface TrainingSlot {
  adapt(spec: JobSpec, onEvent: JobEventHandler, signal: AbortSignal): Promise<JobOutcome>;
  /** Measures those baselines of an ended job that the job left out. */
  baselines(spec: BaselinesSpec, signal: AbortSignal): Promise<BaselinesOutcome>;
  /** Measures an adapter version on its gate rows and on the base that it was made for. */
  outcomes(spec: OutcomesSpec, signal: AbortSignal): Promise<OutcomesOutcome>;
  /** Carries an adapter over to a new base without any rows. */
  provisional(spec: ProvisionalSpec, signal: AbortSignal): Promise<ProvisionalOutcome>;
  evolve(spec: EvolveSpec, signal: AbortSignal): Promise<EvolveOutcome>;
  describe(spec: DescribeSpec, signal: AbortSignal): Promise<DescribeOutcome>;
  /**
   * Begins to load the given bases in the background, in this order, because the next jobs need them. A base that
   * cannot be loaded fails only the job that needs it.
   */
  preload(bases: readonly string[]): void;
  /** Ends this use of the device, so that the next caller gets it. A second call does nothing. */
  release(): void;
}

/**
 * Training process of one device. It starts at the first request and stays, with base weights and compiled graphs in
 * memory; if it dies or is killed, a new one starts. Callers use it one after the other, in the order of their arrival.
 */
export interface TrainingProcess {
  /**
   * Waits until all earlier callers have released the device, and returns exclusive use of it.
   * @throws the signal's reason if it aborts while waiting
   */
  acquire(signal: AbortSignal): Promise<TrainingSlot>;
  readonly pid: number | undefined;
  stop(): Promise<void>;
}

export function createTrainingProcess(options: TrainingProcessOptions): TrainingProcess {
  const childOptions: ChildOptions = {
    entry: options.entry ?? ENTRY,
    bases: options.bases ?? {},
    logger: options.logger,
    otlpEndpoint: options.otlpEndpoint ?? null,
    startTimeoutMs: options.startTimeoutMs ?? 60_000,
    cancelGraceMs: options.cancelGraceMs ?? CANCEL_GRACE_MS,
    pauseGraceMs: options.pauseGraceMs ?? PAUSE_GRACE_MS,
    abandonGraceMs: options.abandonGraceMs ?? ABANDON_GRACE_MS,
    onLoaded: options.onLoaded ?? (() => undefined),
  };
  let child: TrainingChild | null = null;
  /** Ids of the jobs that have certainly run out of memory once. */
  const outOfMemory = new Set<string>();
  let stopped = false;
  let turn: Promise<void> = Promise.resolve();

  const request = async <T extends RequestType>(
    body: RequestBody<T>,
    signal: AbortSignal,
    onEvent: JobEventHandler = () => undefined,
  ): Promise<Requests[T]['outcome']> => {
    if (stopped) throw new Error('the training process has been stopped');
    if (child === null || !child.alive) child = new TrainingChild(childOptions);
    try {
      return await child.request(body, onEvent, signal);
    } catch (error) {
      // A process that ran out of memory is not used again; the next request gets a fresh one.
      if (ranOutOfMemory(error)) {
        await child.stop(0);
        child = null;
      }
      throw error;
    } finally {
      replaceAbandoned(body as RequestBody);
    }
  };

  /**
   * Starts a new process in place of one that was killed because its work was no longer needed. If that work was a job,
   * the new process begins to load the same bases, so that the next job waits less.
   */
  const replaceAbandoned = (body: RequestBody): void => {
    if (stopped || child === null || child.alive || !child.abandoned) return;
    child = new TrainingChild(childOptions);
    if (body.type === 'adapt') preload([body.spec.newBase, body.spec.oldBase]);
  };

  const preload: TrainingSlot['preload'] = (bases) => {
    if (child?.alive === true) child.preload(bases).catch(() => undefined);
  };

  /**
   * Runs a job, and makes its second failure for lack of memory permanent. The first time, bases that were kept loaded
   * for other jobs may have taken the memory; the second time, in a fresh process, the job itself needs too much.
   */
  const adapt: TrainingSlot['adapt'] = async (spec, onEvent, signal) => {
    try {
      const outcome = await request({ type: 'adapt', spec }, signal, onEvent);
      outOfMemory.delete(spec.jobId);
      return outcome;
    } catch (error) {
      if (!ranOutOfMemory(error)) throw error;
      if (!outOfMemory.delete(spec.jobId)) {
        outOfMemory.add(spec.jobId);
        throw error;
      }
      const message = `${error.message} (for the second time, now in a fresh process)`;
      throw new TrainingFailedError({ code: OUT_OF_MEMORY, message, permanent: true });
    }
  };

  return {
    get pid() {
      return child?.alive === true ? child.pid : undefined;
    },
    async acquire(signal) {
      const before = turn;
      let release = (): void => undefined;
      turn = new Promise((resolve) => (release = resolve));
      try {
        await abortable(before, signal);
      } catch (error) {
        // Later callers still wait for earlier ones.
        void before.then(release);
        throw error;
      }
      return {
        adapt,
        baselines: (spec, abort) => request({ type: 'baselines', spec }, abort),
        outcomes: (spec, abort) => request({ type: 'outcomes', spec }, abort),
        provisional: (spec, abort) => request({ type: 'provisional', spec }, abort),
        evolve: (spec, abort) => request({ type: 'evolve', spec }, abort),
        describe: (spec, abort) => request({ type: 'describe', spec }, abort),
        preload,
        release,
      };
    },
    async stop() {
      stopped = true;
      await child?.stop();
    },
  };
}
