import { fileURLToPath } from 'node:url';
import type { Logger } from '../../src/lib/logger.ts';
import type {
  AdaptOutcome,
  DescribeOutcome,
  DescribeSpec,
  EvolveOutcome,
  EvolveSpec,
  JobSpec,
} from '../training/protocol.ts';
import type { BaseCacheOptions } from '../../core/engine/base-cache.ts';
import { OUT_OF_MEMORY } from '../training/out-of-memory.ts';
import { abortable } from './abortable.ts';
import { TrainingChild, type ChildOptions, type RequestBody, type StreamMessage } from './training-child.ts';
import { ranOutOfMemory, TrainingFailedError } from './training-errors.ts';

const ENTRY = fileURLToPath(new URL('../training/process.ts', import.meta.url));

export interface TrainingProcessOptions {
  logger: Logger;
  /** Default: `workers/training/process.ts`. */
  entry?: string;
  /** Runtime and threads. */
  bases?: BaseCacheOptions;
  startTimeoutMs?: number;
  /** How long a cancelled request whose work is to be kept may take to end before the process is killed. */
  cancelGraceMs?: number;
  /** The same for one whose work nobody needs any more. */
  abandonGraceMs?: number;
}

/**
 * A request that is to be gone on with later (its worker stops, say) ends within a micro-batch and the writing of its
 * checkpoint. Where that takes longer, what was computed since the last checkpoint is lost.
 */
const CANCEL_GRACE_MS = 15_000;

/**
 * Nothing is waited for where a job was cancelled but a micro-batch that is about to end anyway, after which the process
 * stays warm.
 */
const ABANDON_GRACE_MS = 100;

/** The device's training process for as long as the caller holds it. */
export interface TrainingSlot {
  adapt(
    spec: JobSpec,
    onMessage: (message: StreamMessage) => Promise<void>,
    signal: AbortSignal,
  ): Promise<AdaptOutcome>;
  evolve(spec: EvolveSpec, signal: AbortSignal): Promise<EvolveOutcome>;
  describe(spec: DescribeSpec, signal: AbortSignal): Promise<DescribeOutcome>;
  /** Lets the next one in. Safe to call twice. */
  release(): void;
}

/**
 * The training process of one device. It is started at the first request, kept warm (base weights and compiled graphs
 * stay loaded), and started anew after it died or had to be killed. Callers hold it one after the other, in the order in which they came.
 */
export interface TrainingProcess {
  /** @throws the signal's reason if it aborts while waiting */
  acquire(signal: AbortSignal): Promise<TrainingSlot>;
  readonly pid: number | undefined;
  stop(): Promise<void>;
}

export function createTrainingProcess(options: TrainingProcessOptions): TrainingProcess {
  const childOptions: ChildOptions = {
    entry: options.entry ?? ENTRY,
    bases: options.bases ?? {},
    logger: options.logger,
    startTimeoutMs: options.startTimeoutMs ?? 60_000,
    cancelGraceMs: options.cancelGraceMs ?? CANCEL_GRACE_MS,
    abandonGraceMs: options.abandonGraceMs ?? ABANDON_GRACE_MS,
  };
  let child: TrainingChild | null = null;
  /** Jobs that ran out of memory once, for certain. */
  const outOfMemory = new Set<string>();
  let stopped = false;
  let turn: Promise<void> = Promise.resolve();

  const request = async (
    body: RequestBody,
    signal: AbortSignal,
    onMessage: (message: StreamMessage) => Promise<void> = () => Promise.resolve(),
  ) => {
    if (stopped) throw new Error('the training process has been stopped');
    if (child === null || !child.alive) child = new TrainingChild(childOptions);
    const final = await child
      .request(body, onMessage, signal)
      .catch(giveMemoryBack)
      .finally(() => replaceAbandoned(body));
    if (final.request !== body.type) throw new Error(`training process answered ${body.type} with ${final.request}`);
    return final.outcome;
  };

  /** A process that ran out of memory does not go on with what is left: the next request has a fresh one. */
  const giveMemoryBack = async (error: unknown): Promise<never> => {
    if (ranOutOfMemory(error)) {
      await child?.stop(0);
      child = null;
    }
    throw error;
  };

  /** Loading the bases again begins at once, so that the next job does not wait for all of it. */
  const replaceAbandoned = (body: RequestBody): void => {
    if (stopped || child === null || child.alive || !child.abandoned) return;
    child = new TrainingChild(childOptions);
    if (body.type === 'adapt') child.preload([body.spec.newBase, body.spec.oldBase]).catch(() => undefined);
  };

  /** The first time, what the process kept warm for others may have been too much. The second time it is the job. */
  const adapt: TrainingSlot['adapt'] = async (spec, onMessage, signal) => {
    try {
      const outcome = (await request({ type: 'adapt', spec }, signal, onMessage)) as AdaptOutcome;
      outOfMemory.delete(spec.jobId);
      return outcome;
    } catch (error) {
      if (!ranOutOfMemory(error)) throw error;
      if (!outOfMemory.delete(spec.jobId)) {
        outOfMemory.add(spec.jobId);
        throw error;
      }
      const message = `${error.message} (the second time, now in a fresh process)`;
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
        // Those behind still wait for those in front.
        void before.then(release);
        throw error;
      }
      return {
        adapt,
        evolve: async (spec, abort) => (await request({ type: 'evolve', spec }, abort)) as EvolveOutcome,
        describe: async (spec, abort) => (await request({ type: 'describe', spec }, abort)) as DescribeOutcome,
        release,
      };
    },
    async stop() {
      stopped = true;
      await child?.stop();
    },
  };
}
