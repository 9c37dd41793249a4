import { createHash } from 'node:crypto';
import { SETTINGS } from '../../../platform/config/settings.ts';
import type { ArtifactStore } from '../../../platform/artifacts/index.ts';
import type { Database } from '../../../platform/database/database.ts';
import type { Logger } from '../../../lib/logger.ts';
import type { AddressPolicy } from '../../../platform/outgoing/address-policy.ts';
import { createSend } from '../../../platform/outgoing/post.ts';
import type { SecretBox } from '../../../platform/config/secret-box.ts';
import type { Lease } from '../../../lib/claim-loop.ts';
import { jitter } from '../../../lib/jitter.ts';
import { MAX_ANSWER, MAX_LIST, resolveReplica } from '../engines/connection.ts';
import { createEngine } from '../engines/create-engine.ts';
import { EngineError, type Engine, type Listing } from '../engines/engine.ts';
import { carryOut, type Progress } from './carry-out.ts';
import { readDesired, type Desired } from './desired.repository.ts';
import { makePlan, type Plan } from './plan.ts';
import type { SyncMetrics } from './sync-metrics.ts';
import { syncRepository as repository, type ClaimedReplica, type SyncError } from './sync.repository.ts';
import { retryIn, type SyncTimes } from './times.ts';
import { createWorkbench } from './workbench.ts';

export interface SyncTurnOptions {
  readonly db: Database;
  readonly artifacts: ArtifactStore;
  readonly policy: AddressPolicy;
  /** Decrypts the API keys of engines. Null if the service has no key for the decryption. */
  readonly box: SecretBox | null;
  readonly times: SyncTimes;
  readonly logger: Logger;
  readonly metrics: SyncMetrics;
}

export interface TurnControl {
  readonly lease: Lease;
  /** Signal that aborts when the lease is lost, or the grace period of a shutdown is over. */
  readonly signal: AbortSignal;
  readonly isStopping: () => boolean;
}

/** Runs one turn: compares a replica with its desired state, and works on the difference for some seconds. */
export async function runSyncTurn(
  options: SyncTurnOptions,
  replica: ClaimedReplica,
  control: TurnControl,
): Promise<void> {
  const { db, times, logger } = options;
  try {
    const engine = engineOf(options, replica, control.signal);
    const listing = await engine.list();
    requireBase(listing, replica);
    if (!replica.isStale && replica.listingDigest === digestOf(listing)) {
      await repository.rest(db, replica.id, times.checkMs * jitter(replica.id), control.lease);
    } else {
      await reconcile(options, replica, { engine, listing, control });
    }
  } catch (error) {
    if (error instanceof EngineError && error.code === 'stopped') return;
    if (!(error instanceof EngineError || error instanceof UnusableReplicaError)) {
      await repository.rest(db, replica.id, times.longestRetryMs * jitter(replica.id), control.lease);
      throw error;
    }
    const state = error.code === 'unreachable' || error.code === 'timeout' ? 'unreachable' : 'failed';
    const failure = { code: error.code, message: error.message };
    const nextTurnMs = retryIn(times, replica.failures + 1, replica.id);
    const isNew = await repository.giveUp(db, replica, { state, error: failure, nextTurnMs }, control.lease);
    if (isNew) logger.warn({ replica: replica.id, code: error.code }, `a replica is ${state}`);
  } finally {
    await repository.release(db, replica.id, control.lease);
  }
}

/**
 * Error of a replica whose engine serves another base model, or whose stored API key cannot be decrypted. No adapter
 * can be loaded then.
 */
class UnusableReplicaError extends Error {
  readonly code: 'key_unreadable' | 'wrong_base';
  constructor(code: 'key_unreadable' | 'wrong_base', message: string) {
    super(message);
    this.code = code;
  }
}

function engineOf(
  { box, policy, times, metrics }: SyncTurnOptions,
  replica: ClaimedReplica,
  signal: AbortSignal,
): Engine {
  const { engine, url, servingName, sealedApiKey } = replica;
  const apiKey = sealedApiKey === null ? null : (box?.open(sealedApiKey, replica.id) ?? null);
  if (sealedApiKey !== null && apiKey === null) {
    const message =
      `its API key cannot be decrypted: add the key that it was stored with to ` +
      `${SETTINGS.secretKeys.variable}, behind the ` +
      'present one, or give the replica its API key again';
    throw new UnusableReplicaError('key_unreadable', message);
  }
  const outgoing = { policy, resolve: resolveReplica };
  return createEngine(
    engine,
    { url, apiKey, servingName },
    {
      get: createSend({ ...outgoing, timeoutMs: times.getMs, maxAnswerBytes: MAX_LIST }),
      post: createSend({ ...outgoing, timeoutMs: times.postMs, maxAnswerBytes: MAX_ANSWER }),
      signal,
      observe: (operation, outcome, ms) => metrics.request(operation, outcome, ms),
    },
  );
}

function requireBase({ bases }: Listing, { servingName }: ClaimedReplica): void {
  if (bases.has(servingName)) return;
  const found = [...bases].slice(0, 5).join(', ') || 'none';
  const message =
    `the engine serves ${found}, and the base model version is called ${servingName}: ` +
    'start the engine with that name, or give the replica the base model version that it serves';
  throw new UnusableReplicaError('wrong_base', message);
}

async function reconcile(
  { db, artifacts, times, logger }: SyncTurnOptions,
  replica: ClaimedReplica,
  { engine, listing, control }: { engine: Engine; listing: Listing; control: TurnControl },
): Promise<void> {
  const { lease } = control;
  const desired = await readDesired(db, replica);
  const { pathPrefix, aliases } = replica;
  const tracked = await repository.tracked(db, replica.id);
  const checks = replica.check === 'gate_prompt';
  const plan = makePlan({ desired: desired.adapters, listing, tracked, pathPrefix, aliases, checks });
  if (!(await repository.prepare(db, replica, plan, lease))) return;
  const bench = createWorkbench({ db, artifacts, engine, replica, times, checks });
  const progress = await carryOut(plan, bench, {
    ...{ atOnce: engine.atOnce, times, control },
    isUnchanged: () => repository.noteProgress(db, replica.id, desired.seen, lease),
  });
  const outcome = await outcomeOf({ db, times }, replica, { plan, desired, listing, progress });
  if (await repository.finish(db, replica, outcome, lease)) {
    logger.info({ replica: replica.id, state: outcome.state, desired: outcome.desired }, 'a replica has another state');
  }
}

async function outcomeOf(
  { db, times }: Pick<SyncTurnOptions, 'db' | 'times'>,
  { id, maxAdapters }: ClaimedReplica,
  { plan, desired, listing, progress }: { plan: Plan; desired: Desired; listing: Listing; progress: Progress },
) {
  const pending = await repository.pending(db, id);
  const resyncMs = times.resyncMs;
  const common = { desired: desired.total, seen: desired.seen, resyncMs, listingDigest: null };
  const steps = plan.work.length + plan.unload.length;
  // The next turn begins at once and verifies the work: only a complete list shows that everything is loaded.
  const isToGoOn = progress.succeeded > 0 || progress.made < steps;
  // Failed steps may stay overdue for long, so the next turn waits for at least `retryMs`.
  const restMs = Math.max(times.retryMs, Math.min(times.checkMs * jitter(id), pending.nextMs ?? Infinity));
  const nextTurnMs = isToGoOn ? 0 : restMs;
  const error = errorOf(pending.failed, desired.total, maxAdapters);
  if (progress.made < steps) return { ...common, state: 'syncing', error: null, nextTurnMs } as const;
  if (error !== null) return { ...common, state: 'failed', error, nextTurnMs } as const;
  if (steps > 0) return { ...common, state: 'syncing', error: null, nextTurnMs } as const;
  const listingDigest = pending.retiring > 0 ? null : digestOf(listing);
  return { ...common, state: 'in_sync', error: null, nextTurnMs, listingDigest } as const;
}

function errorOf(failed: number, total: number, maxAdapters: number): SyncError | null {
  if (total > maxAdapters) {
    const message =
      `${total} adapters are selected, and max_adapters is ${maxAdapters}: ` +
      'raise it if the engine has room, or select fewer by labels or tenants';
    return { code: 'over_capacity', message };
  }
  if (failed === 0) return null;
  const what = failed === 1 ? 'one adapter' : `${failed} adapters`;
  return {
    code: 'adapters_failed',
    message: `${what} could not be loaded: see the adapters of the replica that failed`,
  };
}

function digestOf({ adapters }: Listing): string {
  const lines = [...adapters].map(([name, path]) => `${name}\t${path}\n`).sort();
  return createHash('sha256').update(lines.join('')).digest('hex');
}
