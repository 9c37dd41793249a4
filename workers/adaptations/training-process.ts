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
import { TrainingChild, type ChildOptions, type RequestBody, type StreamMessage } from './training-child.ts';

const ENTRY = fileURLToPath(new URL('../training/process.ts', import.meta.url));

export interface TrainingProcessOptions {
  logger: Logger;
  /** Default: `workers/training/process.ts`. */
  entry?: string;
  /** Runtime and threads. */
  session?: SessionOptions;
  startTimeoutMs?: number;
  cancelGraceMs?: number;
}

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
    cancelGraceMs: options.cancelGraceMs ?? 30_000,
  };
  let child: TrainingChild | null = null;
  let stopped = false;
  let turn: Promise<void> = Promise.resolve();

  const request = async (
    body: RequestBody,
    signal: AbortSignal,
    onMessage: (message: StreamMessage) => Promise<void> = () => Promise.resolve(),
  ) => {
    if (stopped) throw new Error('the training process has been stopped');
    if (child === null || !child.alive) child = new TrainingChild(childOptions);
    const final = await child.request(body, onMessage, signal);
    if (final.request !== body.type) throw new Error(`training process answered ${body.type} with ${final.request}`);
    return final.outcome;
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
        adapt: async (spec, onMessage, abort) => (await request({ type: 'adapt', spec }, abort, onMessage)) as AdaptOutcome,
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
