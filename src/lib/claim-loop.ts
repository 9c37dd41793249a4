import type { Logger } from './logger.ts';

/** Piece of work that waits in the database. Only one process at a time may claim it. */
export interface Claimable {
  readonly id: string;
  /**
   * Owner of the unit of work, for example a tenant. A process works on a limited number of units of one owner at a
   * time. If a unit has no owner, this is the unit's own identifier.
   */
  readonly owner: string;
}

/**
 * A process's claim on a unit of work. `owner` names the process; the claim expires after `forMs` milliseconds unless
 * it is renewed.
 */
export interface Lease {
  readonly owner: string;
  readonly forMs: number;
}

export interface ClaimLoopOptions {
  /** Name of the work in log messages. */
  readonly what: string;
  readonly logger: Pick<Logger, 'warn'>;
  /** Lists at most `limit` unclaimed units, those that have waited longest first. */
  candidates(limit: number): Promise<readonly Claimable[]>;
  /**
   * Claims a unit and works on it, unless another process has claimed it. `signal` aborts when the grace time after
   * `stop` is over.
   */
  run(one: Claimable, control: { signal: AbortSignal; isStopping: () => boolean }): Promise<void>;
  /** Largest number of units that a process works on at a time (default 16). */
  readonly atOnce?: number;
  /** Time between two searches for waiting work, in milliseconds (default 1000). */
  readonly intervalMs?: number;
  /**
   * Longest time that running work may take to end after `stop` before it is told to abort, in milliseconds (default
   * 5000).
   */
  readonly graceMs?: number;
}

export interface ClaimLoop {
  start(): void;
  /**
   * Starts no more work, and waits for the running work. When the grace time is over, tells the running work to abort.
   */
  stop(): Promise<void>;
}

/** Largest number of waiting units that one search reads. */
const CANDIDATES = 200;
/** Largest number of units of one owner that a process works on at a time. */
const OF_ONE_OWNER = 4;

/**
 * Creates a loop that polls for waiting work and runs a limited number of units at a time. Failures are logged, and a
 * later poll tries them again. `run` has to make sure that no two processes work on the same unit.
 */
export function createClaimLoop(options: ClaimLoopOptions): ClaimLoop {
  const { what, logger, atOnce = 16, intervalMs = 1000, graceMs = 5000 } = options;
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
      if (!running.has(one.id) && countOf(one.owner) < OF_ONE_OWNER) begin(one);
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
