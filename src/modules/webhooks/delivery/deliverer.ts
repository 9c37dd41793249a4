import { randomUUID } from 'node:crypto';
import { deliveryRepository as repository, type Lease } from './delivery.repository.ts';
import { runTurn, type TurnOptions } from './turn.ts';

export interface DelivererOptions extends TurnOptions {
  /** Time between two looks for what is to be sent, in milliseconds (default 1000). */
  readonly intervalMs?: number;
  /** How long an endpoint is left to a process that does not say anything any more, in milliseconds (default 60,000). */
  readonly leaseMs?: number;
  /** How long requests may take to end when the process stops, in milliseconds (default 5000). */
  readonly graceMs?: number;
}

export interface Deliverer {
  start(): void;
  /** Ends what is being sent. What is cut off is sent again by another process. */
  stop(): Promise<void>;
}

/** Number of endpoints that a process sends to at a time, and of one tenant or the operator. */
const AT_ONCE = 16;
const OF_ONE_OWNER = 4;
/** Number of endpoints among which those are chosen. */
const CANDIDATES = 200;

/**
 * Sends events to webhook endpoints. Every API process has one. Which process sends to an endpoint is decided by a lease of its row, so that
 * one does at a time, and another one goes on if it dies.
 */
export function createDeliverer(options: DelivererOptions): Deliverer {
  const { db, logger, intervalMs = 1000, leaseMs = 60_000, graceMs = 5000 } = options;
  const lease: Lease = { owner: randomUUID(), forMs: leaseMs };
  const cutOff = new AbortController();
  const turns = new Map<string, { owner: string; done: Promise<void> }>();
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> = Promise.resolve();
  let isStarted = false;
  let isStopping = false;

  const ownedBy = (owner: string): number => [...turns.values()].filter((turn) => turn.owner === owner).length;

  async function take(id: string, owner: string): Promise<void> {
    const endpoint = await repository.claim(db, id, lease);
    if (endpoint === null) return;
    const done = runTurn(options, endpoint, { lease, signal: cutOff.signal, isStopping: () => isStopping })
      .catch((error: unknown) => {
        logger.warn(
          { err: error, endpoint: id },
          'a webhook delivery was interrupted; it goes on when its lease has expired',
        );
      })
      .finally(() => {
        turns.delete(id);
        schedule(0);
      });
    turns.set(id, { owner, done });
  }

  async function look(): Promise<void> {
    if (turns.size >= AT_ONCE) return;
    for (const { id, tenant_id: tenantId } of await repository.candidates(db, CANDIDATES)) {
      const owner = tenantId ?? '';
      if (isStopping || turns.size >= AT_ONCE) return;
      if (!turns.has(id) && ownedBy(owner) < OF_ONE_OWNER) await take(id, owner);
    }
  }

  function schedule(ms: number): void {
    if (!isStarted || isStopping) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      looking = looking
        .then(look)
        .catch((error: unknown) => logger.warn({ err: error }, 'webhook endpoints could not be looked through'))
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
      await Promise.all([...turns.values()].map(({ done }) => done));
      clearTimeout(cut);
    },
  };
}
