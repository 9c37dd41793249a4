import { randomUUID } from 'node:crypto';
import { locateVerified, type ArtifactStore } from '../../../platform/artifacts/index.ts';
import { ensureLease, giveUpLease, holdLease, renewLease, type ProcessLease } from '../../../platform/queue/index.ts';
import type { Database } from '../../../platform/database/database.ts';
import type { Logger } from '../../../lib/logger.ts';
import { servedVersionRepository as repository } from '../served-version.repository.ts';
import { BasePublisher, type FolderAction } from './base-publisher.ts';
import { openEngineFolder, type EngineFolder } from './engine-folder.ts';

/** Number of changes read by one statement. */
const PAGE = 500;

/**
 * Interval of the full comparison of a folder with the database, in milliseconds. The comparison restores files that
 * somebody has removed. The first one happens at the start.
 */
const COMPARED_MS = 3_600_000;

export interface ServingFolderOptions {
  readonly db: Database;
  readonly artifacts: ArtifactStore;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  /** Path of the folder, `READAPT_SERVING_FOLDER`. */
  readonly root: string;
  /** Time for which an adapter version stays in the folder after it is no longer current, in milliseconds. */
  readonly graceMs: number;
  /** Interval between two rounds, each of which brings the folder up to date, in milliseconds (default 1000). */
  readonly intervalMs?: number;
  /**
   * Duration of the lease, in milliseconds (default 15,000). If the holder does not renew it, another process takes
   * over.
   */
  readonly leaseMs?: number;
  readonly metrics?: FolderMetrics;
}

export interface FolderMetrics {
  acted(action: FolderAction): void;
  /** Called after each round of updating the folder, with the numbers of served and of failed adapters. */
  followed(state: { readonly served: number; readonly failed: number }): void;
}

export interface ServingFolder {
  start(): void;
  /** Waits until the running round of updating the folder has ended, and releases the lease. */
  stop(): Promise<void>;
  /** Brings the serving folder up to date once. @returns false if another process holds the folder */
  round(): Promise<boolean>;
}

/**
 * Creates the task that keeps the serving folder, from which serving engines take adapters. A lease lets only one of
 * the processes that share the folder write to it. Folders with the same path on different machines are independent.
 */
export function createServingFolder(options: ServingFolderOptions): ServingFolder {
  const { db, logger, root, intervalMs = 1000, leaseMs = 15_000, metrics } = options;
  const owner = randomUUID();
  const publishers = new Map<string, BasePublisher>();
  let opened: { folder: EngineFolder; lease: ProcessLease } | null = null;
  let heldUntil = 0;
  let comparedAt = -Infinity;
  let isStopping = false;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<unknown> = Promise.resolve();

  async function open() {
    if (opened !== null) return opened;
    const folder = await openEngineFolder(root);
    const lease: ProcessLease = { name: `serving_folder:${folder.id}`, owner, forMs: leaseMs };
    await ensureLease(db, lease.name);
    return (opened = { folder, lease });
  }

  async function hold(lease: ProcessLease, ask: typeof holdLease): Promise<boolean> {
    const asked = performance.now();
    const isHeld = await ask(db, lease);
    heldUntil = isHeld ? asked + leaseMs : 0;
    return isHeld;
  }

  function requireLease(): void {
    if (performance.now() < heldUntil && !isStopping) return;
    throw new LeaseLost(isStopping ? 'the process stops' : 'another process may hold the serving folder by now');
  }

  function publisherOf(base: string, folder: EngineFolder): BasePublisher {
    const publisher =
      publishers.get(base) ??
      new BasePublisher({
        ...{ folder, base, requireLease, graceMs: options.graceMs },
        readChanges: (id, after) => repository.changes(db, id, { after, limit: PAGE }, null),
        readUnread: (id, after) => repository.unread(db, id, after),
        withFiles: (digest, work) =>
          options.artifacts.holding(async (held) => work(await locateVerified(db, held, digest))),
        onAction: (action) => metrics?.acted(action),
        onFailure: (error, { adapterId }) =>
          logger.warn(
            { err: error, adapterId, base },
            'an adapter could not be put into the serving folder; it is tried again',
          ),
      });
    publishers.set(base, publisher);
    return publisher;
  }

  /**
   * Clears unfinished files from the folder and resets the publishers, so that the present round compares the whole
   * folder with the database.
   */
  async function compare(folder: EngineFolder): Promise<void> {
    await folder.clear();
    for (const publisher of publishers.values()) publisher.reset();
    for (const base of await folder.bases()) publisherOf(base, folder);
    comparedAt = performance.now();
  }

  async function round(): Promise<boolean> {
    const { folder, lease } = await open();
    const held = performance.now() < heldUntil;
    if (!(await hold(lease, holdLease))) return false;
    const renewal = setInterval(() => void hold(lease, renewLease).catch(() => undefined), leaseMs / 3);
    try {
      // Another process may have changed the folder while it held the lease.
      if (!held || performance.now() - comparedAt > COMPARED_MS) await compare(folder);
      const positions = new Map([...publishers].map(([base, { position }]) => [base, position]));
      const changed = new Set(await repository.changedBases(db, positions));
      for (const base of new Set([...publishers.keys(), ...changed])) {
        await publisherOf(base, folder).follow(changed.has(base));
      }
    } finally {
      clearInterval(renewal);
    }
    const all = [...publishers.values()];
    const sum = (of: (one: BasePublisher) => number) => all.reduce((total, one) => total + of(one), 0);
    metrics?.followed({ served: sum(({ size }) => size), failed: sum(({ failures }) => failures) });
    return true;
  }

  const tick = (): void => {
    running = round()
      .catch((error: unknown) => {
        if (!isStopping)
          logger.warn({ err: error, root }, 'the serving folder could not be followed; it is tried again');
      })
      .finally(() => {
        if (!isStopping) timer = setTimeout(tick, intervalMs);
      });
  };
  return {
    round,
    start: () => {
      logger.info({ root }, 'the serving folder is kept');
      tick();
    },
    async stop() {
      isStopping = true;
      clearTimeout(timer);
      await running;
      if (opened !== null && heldUntil > 0) await giveUpLease(db, opened.lease);
    },
  };
}

class LeaseLost extends Error {}
