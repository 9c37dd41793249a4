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
import type { SessionOptions } from '../training/session.ts';
import { OUT_OF_MEMORY } from '../training/out-of-memory.ts';
import { TrainingChild, type ChildOptions, type RequestBody, type StreamMessage } from './training-child.ts';
import { ranOutOfMemory, TrainingFailedError } from './training-errors.ts';

const ENTRY = fileURLToPath(new URL('../training/process.ts', import.meta.url));

export interface TrainingProcessOptions {
  logger: Logger;
  /** Default: `workers/training/process.ts`. */
  entry?: string;
  /** Runtime and threads. */
  session?: SessionOptions;
  startTimeoutMs?: number;
  /** How long a cancelled request may take to end before the process is killed. */
  cancelGraceMs?: number;
}

/**
 * A cancelled request ends within a micro-batch and the writing of its checkpoint, unless the process compiles, loads a
 * base or is stuck. To kill it costs a new start and the base's loading, some seconds: it pays to wait about as long.
 */
const CANCEL_GRACE_MS = 5000;

/** The device's training process for as long as the caller holds it. */
export interface TrainingSession {
  adapt(spec: JobSpec, onMessage: (message: StreamMessage) => Promise<void>, signal: AbortSignal): Promise<AdaptOutcome>;
  evolve(spec: EvolveSpec, signal: AbortSignal): Promise<EvolveOutcome>;
  describe(spec: DescribeSpec, signal: AbortSignal): Promise<DescribeOutcome>;
  /** Lets the next one in. Safe to call twice. */
  release(): void;
}

/**
 * The training process of one device. It is started at the first request, kept warm (base weights and compiled graphs
 * stay loaded), and started anew after it died. Callers hold it one after the other, in the order in which they came.
 */
export interface TrainingProcess {
  /** @throws the signal's reason if it aborts while waiting */
  acquire(signal: AbortSignal): Promise<TrainingSession>;
  readonly pid: number | undefined;
  stop(): Promise<void>;
}

export function createTrainingProcess(options: TrainingProcessOptions): TrainingProcess {
  const childOptions: ChildOptions = {
    entry: options.entry ?? ENTRY,
    session: options.session ?? {},
    logger: options.logger,
    startTimeoutMs: options.startTimeoutMs ?? 60_000,
    cancelGraceMs: options.cancelGraceMs ?? CANCEL_GRACE_MS,
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
    const final = await child.request(body, onMessage, signal).catch(giveMemoryBack);
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

  /** The first time, what the process kept warm for others may have been too much. The second time it is the job. */
  const adapt: TrainingSession['adapt'] = async (spec, onMessage, signal) => {
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

async function abortable(work: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
