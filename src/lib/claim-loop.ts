import type { Logger } from './logger.ts';

/** Something that one process at a time works on. */
export interface Claimable {
  readonly id: string;
  /** Whose it is. One owner does not take all places of a process. */
  readonly owner: string;
}

export interface ClaimLoopOptions {
  /** What is done, for the log. */
  readonly what: string;
  readonly logger: Pick<Logger, 'warn'>;
  /** What waits and nobody works on, the longest waiting first, at most so many. */
  candidates(limit: number): Promise<readonly Claimable[]>;
  /** Claims one of them and works on it, unless another process is faster. `signal` aborts when the process cannot wait any longer. */
  run(one: Claimable, control: { signal: AbortSignal; isStopping: () => boolean }): Promise<void>;
  /** Number that a process works on at a time (default 16), and of one owner (default 4). */
  readonly atOnce?: number;
  readonly ofOneOwner?: number;
  /** Time between two looks for what waits, in milliseconds (default 1000). */
  readonly intervalMs?: number;
  /** How long what is worked on may take to end when the process stops, in milliseconds (default 5000). */
  readonly graceMs?: number;
}

export interface ClaimLoop {
  start(): void;
  /** Waits for what is worked on, and cuts it off after the grace time. */
  stop(): Promise<void>;
}

/** Number of candidates among which those are chosen that are worked on. */
const CANDIDATES = 200;

/**
 * Looks from time to time for what waits, and works on some of it at a time. What fails is logged and looked for again; that no two processes
 * work on the same is up to the claim.
 */
export function createClaimLoop(options: ClaimLoopOptions): ClaimLoop {
  const { what, logger, atOnce = 16, ofOneOwner = 4, intervalMs = 1000, graceMs = 5000 } = options;
  const cutOff = new AbortController();
  const running = new Map<string, { owner: string; done: Promise<void> }>();
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> = Promise.resolve();
  let isStarted = false;
  let isStopping = false;

  const countOf = (owner: string): number => [...running.values()].filter((one) => one.owner === owner).length;

  function begin(one: Claimable): void {
    const done = options
      .run(one, { signal: cutOff.signal, isStopping: () => isStopping })
      .catch((error: unknown) => logger.warn({ err: error, id: one.id }, `${what} was interrupted; it is tried again`))
      .finally(() => {
        running.delete(one.id);
        schedule(0);
      });
    running.set(one.id, { owner: one.owner, done });
  }

  async function look(): Promise<void> {
    if (running.size >= atOnce) return;
    for (const one of await options.candidates(CANDIDATES)) {
      if (isStopping || running.size >= atOnce) return;
      if (!running.has(one.id) && countOf(one.owner) < ofOneOwner) begin(one);
    }
  }

  function schedule(ms: number): void {
    if (!isStarted || isStopping) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      looking = looking
        .then(look)
        .catch((error: unknown) => logger.warn({ err: error }, `what waits for ${what} could not be looked for`))
        .finally(() => schedule(intervalMs));
    }, ms);
  }

  return {
    start: () => {
      isStarted = true;
      schedule(0);
    },
    stop: async () => {
      isStopping = true;
      clearTimeout(timer);
      await looking;
      const cut = setTimeout(() => cutOff.abort(), graceMs);
      await Promise.all([...running.values()].map(({ done }) => done));
      clearTimeout(cut);
    },
  };
}
