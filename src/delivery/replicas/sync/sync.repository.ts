import type { Lease } from '../../../lib/claim-loop.ts';
import {
  Prisma,
  withTransaction,
  type Database,
  type Queryable,
  type Transaction,
} from '../../../platform/database/database.ts';
import { newId } from '../../../platform/contract/ids.ts';
import { recordEvent } from '../../events/index.ts';
import type { EngineKind } from '../engines/create-engine.ts';
import { changesSince, type ReplicaSelection, type Seen } from './desired.repository.ts';
import type { DesiredAdapter, Plan, TrackedAdapter } from './plan.ts';

/** Replica on which this process works while it holds the lease. */
export interface ClaimedReplica extends ReplicaSelection {
  readonly id: string;
  readonly engine: EngineKind;
  readonly url: string;
  readonly servingName: string;
  readonly pathPrefix: string;
  readonly sealedApiKey: string | null;
  readonly aliases: boolean;
  readonly check: 'gate_prompt' | 'none';
  readonly unloadAfterMs: number;
  readonly state: string;
  readonly failures: number;
  readonly listingDigest: string | null;
  /**
   * Whether the adapters to be served have to be read again, because versions have changed or a full comparison is due.
   */
  readonly isStale: boolean;
}

/** Reason why a replica, or one of its adapters, has failed. */
export interface SyncError {
  readonly code: string;
  readonly message: string;
}

/** Result of a turn of work on a replica, and the time until the next turn. */
export interface SyncOutcome {
  readonly state: 'syncing' | 'in_sync' | 'failed';
  readonly error: SyncError | null;
  readonly desired: number;
  readonly listingDigest: string | null;
  readonly seen: Seen;
  readonly nextTurnMs: number;
  readonly resyncMs: number;
}

const NOW = Prisma.sql`(SELECT clock_timestamp())`;
const IS_FREE = Prisma.sql`(r.lease_expires_at IS NULL OR r.lease_expires_at < ${NOW})`;
const CHANGES = changesSince(Prisma.sql`r.base_model_version_id`, Prisma.sql`r.seen_horizon`);
const HAS_CHANGED = Prisma.sql`${CHANGES} <> r.seen_changes`;
const IS_DUE = Prisma.sql`${IS_FREE} AND (r.next_turn_at <= ${NOW} OR (r.failures = 0 AND ${HAS_CHANGED}))`;
const RELEASED = Prisma.sql`lease_owner = NULL, lease_expires_at = NULL`;

const after = (ms: number): Prisma.Sql => Prisma.sql`clock_timestamp() + make_interval(secs => ${ms / 1000}::float8)`;
const json = (value: object | null): Prisma.Sql =>
  value === null ? Prisma.sql`NULL` : Prisma.sql`${JSON.stringify(value)}::jsonb`;
const msUntil = (time: string): Prisma.Sql =>
  Prisma.sql`(extract(epoch FROM ${Prisma.raw(time)} - clock_timestamp()) * 1000)::float8`;

const countsOf = (id: string): Prisma.Sql => Prisma.sql`
  loaded = (SELECT count(*) FROM replica_adapters WHERE replica_id = ${id} AND state = 'loaded'),
  failed = (SELECT count(*) FROM replica_adapters WHERE replica_id = ${id} AND state = 'failed')`;

export const syncRepository = {
  /**
   * Lists due replicas that no process holds, longest overdue first. A change of versions makes a replica due early,
   * unless its last turn failed.
   */
  candidates: (db: Queryable, limit: number): Promise<{ id: string }[]> =>
    db.$queryRaw`
      SELECT r.id FROM replicas r
      WHERE ${IS_DUE}
      ORDER BY r.next_turn_at LIMIT ${limit}`,

  /**
   * Takes the lease of a replica; null if another process holds it, or has completed a turn since the replica was found
   * due.
   */
  async claim(db: Queryable, id: string, { owner, forMs }: Lease): Promise<ClaimedReplica | null> {
    const [row] = await db.$queryRaw<ClaimedReplica[]>`
      UPDATE replicas r SET lease_owner = ${owner}, lease_expires_at = ${after(forMs)}
      FROM base_model_versions b WHERE b.id = r.base_model_version_id AND r.id = ${id} AND ${IS_DUE}
      RETURNING r.id, r.engine, r.url, b.serving_name AS "servingName", r.base_model_version_id AS "baseModelVersionId",
        r.path_prefix AS "pathPrefix", r.sealed_api_key AS "sealedApiKey", r.max_adapters AS "maxAdapters",
          r.aliases, r.check,
        r.tenant_ids AS "tenantIds", r.labels, r.unload_after_ms AS "unloadAfterMs", r.state, r.failures,
        r.listing_digest AS "listingDigest", (r.resync_at <= clock_timestamp() OR ${HAS_CHANGED}) AS "isStale"`;
    return row ?? null;
  },
  /**
   * Renews the lease.
   * @returns false if the lease is lost
   */
  renew: (db: Queryable, id: string, lease: Lease): Promise<boolean> => hold(db, id, lease, Prisma.empty),
  release: (db: Queryable, id: string, { owner }: Lease) =>
    db.$executeRaw`UPDATE replicas SET ${RELEASED} WHERE id = ${id} AND lease_owner = ${owner}`,

  tracked: (db: Queryable, replicaId: string): Promise<TrackedAdapter[]> =>
    db.$queryRaw`
      SELECT engine_name AS name, adapter_id AS "adapterId", adapter_version_id AS "adapterVersionId",
        loaded_version_id AS "loadedVersionId", state, attempts, ${msUntil('next_attempt_at')} AS "retryInMs",
        checked_at IS NOT NULL AS "isChecked", ${msUntil('unload_at')} AS "unloadInMs"
      FROM replica_adapters WHERE replica_id = ${replicaId}`,

  /**
   * Stores the state changes of a plan, before any step of the plan is taken.
   * @returns false if the lease is lost
   */
  prepare: (db: Database, { id, unloadAfterMs }: ClaimedReplica, plan: Plan, lease: Lease): Promise<boolean> =>
    withTransaction(db, async (tx) => {
      if (!(await hold(tx, id, lease, Prisma.empty))) return false;
      await add(tx, id, plan.added);
      const { forget, revive, serving, waiting, checking, found, retire } = plan;
      await renew(tx, id, plan.renewed);
      if (forget.length > 0) {
        await tx.$executeRaw`DELETE FROM replica_adapters WHERE replica_id = ${id} AND engine_name = ANY (${forget})`;
      }
      await setAll(tx, id, revive, Prisma.sql`state = 'waiting', unload_at = NULL`);
      await setAll(tx, id, waiting, Prisma.sql`state = 'waiting', checked_at = NULL`);
      await setAll(tx, id, checking, Prisma.sql`state = 'checking'`);
      await setAll(tx, id, serving, Prisma.sql`state = 'loaded', error = NULL, attempts = 0, next_attempt_at = NULL`);
      await addFound(tx, id, found);
      const retiring = Prisma.sql`state = 'retiring', error = NULL, next_attempt_at = NULL,
        unload_at = ${after(unloadAfterMs)}`;
      await setAll(tx, id, [...retire, ...found], retiring);
      return true;
    }),

  /** Records that the engine serves an adapter version under its name. */
  noteServing: (db: Queryable, replicaId: string, name: string, isChecked: boolean) =>
    db.$executeRaw`
      UPDATE replica_adapters SET state = 'loaded', attempts = 0, error = NULL, next_attempt_at = NULL,
        checked_at = CASE WHEN ${isChecked} THEN clock_timestamp() ELSE checked_at END
      WHERE replica_id = ${replicaId} AND engine_name = ${name}`,
  /**
   * Records that the engine is about to be asked to load a version. The engine may have the version from then on, even
   * if the request fails.
   */
  noteLoading: (
    db: Queryable,
    replicaId: string,
    { name, adapterVersionId }: Pick<DesiredAdapter, 'name' | 'adapterVersionId'>,
    isToBeChecked: boolean,
  ) =>
    db.$executeRaw`
      UPDATE replica_adapters SET checked_at = NULL, loaded_version_id = ${adapterVersionId},
        state = CASE WHEN ${isToBeChecked} THEN 'checking' ELSE state END
      WHERE replica_id = ${replicaId} AND engine_name = ${name}`,
  noteFailed: (
    db: Queryable,
    replicaId: string,
    name: string,
    { error, retryMs }: { error: SyncError; retryMs: number },
  ) =>
    db.$executeRaw`
      UPDATE replica_adapters SET state = 'failed', attempts = attempts + 1, error = ${json(error)}, checked_at = NULL,
        next_attempt_at = ${after(retryMs)}
      WHERE replica_id = ${replicaId} AND engine_name = ${name}`,
  /** Deletes the stored state of a name that was unloaded. */
  noteUnloaded: (db: Queryable, replicaId: string, name: string) =>
    db.$executeRaw`DELETE FROM replica_adapters WHERE replica_id = ${replicaId} AND engine_name = ${name}`,

  /**
   * Counts a replica's names that have failed and those that wait to be unloaded. `nextMs` is the time until the first
   * retry or unloading is due, in milliseconds; null if none is to come.
   */
  async pending(
    db: Queryable,
    replicaId: string,
  ): Promise<{ failed: number; retiring: number; nextMs: number | null }> {
    const [row] = await db.$queryRaw<[{ failed: number; retiring: number; nextMs: number | null }]>`
      SELECT count(*) FILTER (WHERE state = 'failed')::int AS failed,
        count(*) FILTER (WHERE state = 'retiring')::int AS retiring,
        ${msUntil('min(LEAST(next_attempt_at, unload_at))')} AS "nextMs"
      FROM replica_adapters WHERE replica_id = ${replicaId}`;
    return row;
  },

  /**
   * Stores the progress of a long turn and renews the lease. The state of the replica is only set at the end of the
   * turn.
   * @returns whether the turn may continue, because the lease is held and the versions that the turn has read are still
   * current
   */
  async noteProgress(db: Queryable, id: string, seen: Seen, { owner, forMs }: Lease): Promise<boolean> {
    const [row] = await db.$queryRaw<{ isUnchanged: boolean }[]>`
      UPDATE replicas r SET lease_expires_at = ${after(forMs)}, last_seen_at = clock_timestamp(), ${countsOf(id)}
      WHERE id = ${id} AND lease_owner = ${owner}
      RETURNING ${changesSince(Prisma.sql`r.base_model_version_id`, Prisma.sql`${seen.horizon}`)}
        = ${seen.changes} AS "isUnchanged"`;
    return row?.isUnchanged === true;
  },

  /**
   * Ends a turn whose replica has answered. Writes nothing if the lease is lost.
   * @returns whether the state of the replica has changed
   */
  finish: (db: Database, replica: ClaimedReplica, outcome: SyncOutcome, lease: Lease): Promise<boolean> =>
    withTransaction(db, async (tx) => {
      const { id } = replica;
      const { state, error, desired, listingDigest, seen, nextTurnMs, resyncMs } = outcome;
      const change = Prisma.sql`, state = ${state}, error = ${json(error)}, desired = ${desired},
        ${countsOf(id)}, last_seen_at = clock_timestamp(),
        in_sync_at = CASE WHEN ${state === 'in_sync'} THEN clock_timestamp() ELSE in_sync_at END,
        seen_horizon = ${seen.horizon}, seen_changes = ${seen.changes}, listing_digest = ${listingDigest}, failures = 0,
        next_turn_at = ${after(nextTurnMs)}, resync_at = ${after(resyncMs)}`;
      if (!(await hold(tx, id, lease, change))) return false;
      if (state === replica.state) return false;
      await recordState(tx, id, state, error?.code ?? '');
      return true;
    }),

  /**
   * Ends a turn without a change of state: the engine's list was the same as after the last turn, or an unexpected
   * error broke off the turn.
   */
  rest: (db: Queryable, id: string, nextTurnMs: number, lease: Lease): Promise<boolean> =>
    hold(
      db,
      id,
      lease,
      Prisma.sql`, last_seen_at = clock_timestamp(), failures = 0, next_turn_at = ${after(nextTurnMs)}`,
    ),

  /** Ends a failed turn. @returns whether the state of the replica has changed */
  giveUp: (
    db: Database,
    replica: ClaimedReplica,
    { state, error, nextTurnMs }: { state: 'failed' | 'unreachable'; error: SyncError; nextTurnMs: number },
    lease: Lease,
  ): Promise<boolean> =>
    withTransaction(db, async (tx) => {
      const change = Prisma.sql`, state = ${state}, error = ${json(error)}, failures = failures + 1,
        listing_digest = NULL,
        next_turn_at = ${after(nextTurnMs)}`;
      if (!(await hold(tx, replica.id, lease, change)) || state === replica.state) return false;
      await recordState(tx, replica.id, state, error.code);
      return true;
    }),
};

/**
 * Changes a replica and renews its lease.
 * @returns false if the lease is lost
 */
async function hold(db: Queryable, id: string, { owner, forMs }: Lease, change: Prisma.Sql): Promise<boolean> {
  const count = await db.$executeRaw`
    UPDATE replicas SET lease_expires_at = ${after(forMs)}${change} WHERE id = ${id} AND lease_owner = ${owner}`;
  return count === 1;
}

async function add(tx: Transaction, replicaId: string, adapters: readonly DesiredAdapter[]): Promise<void> {
  const data = adapters.map(({ tenantId, adapterId, adapterVersionId, name }) => ({
    ...{ id: newId('replicaAdapter'), replicaId, tenantId, adapterId, adapterVersionId },
    ...{ engineName: name, state: 'waiting' },
  }));
  if (data.length > 0) await tx.replicaAdapter.createMany({ data, skipDuplicates: true });
}

/**
 * Assigns engine names to the adapter versions that have these names now. `loaded_version_id`, the version that the
 * engine has loaded, stays unchanged.
 */
async function renew(tx: Transaction, replicaId: string, adapters: readonly DesiredAdapter[]): Promise<void> {
  if (adapters.length === 0) return;
  const given = JSON.stringify(
    adapters.map(({ name, tenantId, adapterId, adapterVersionId }) => ({
      name,
      tenantId,
      adapterId,
      adapterVersionId,
    })),
  );
  await tx.$executeRaw`
    UPDATE replica_adapters r SET tenant_id = g."tenantId", adapter_id = g."adapterId",
      adapter_version_id = g."adapterVersionId",
      state = 'waiting', attempts = 0, error = NULL, next_attempt_at = NULL, checked_at = NULL, unload_at = NULL
    FROM jsonb_to_recordset(${given}::jsonb) AS g (name text, "tenantId" text, "adapterId" text,
      "adapterVersionId" text)
    WHERE r.replica_id = ${replicaId} AND r.engine_name = g.name`;
}

async function addFound(tx: Transaction, replicaId: string, names: readonly string[]): Promise<void> {
  const data = names.map((engineName) => ({ id: newId('replicaAdapter'), replicaId, engineName, state: 'retiring' }));
  if (data.length > 0) await tx.replicaAdapter.createMany({ data, skipDuplicates: true });
}

async function setAll(tx: Transaction, replicaId: string, names: readonly string[], change: Prisma.Sql): Promise<void> {
  if (names.length === 0) return;
  await tx.$executeRaw`
    UPDATE replica_adapters SET ${change} WHERE replica_id = ${replicaId} AND engine_name = ANY (${names})`;
}

async function recordState(tx: Transaction, subjectId: string, state: string, code: string): Promise<void> {
  const { desired, loaded, failed } = await tx.replica.findUniqueOrThrow({ where: { id: subjectId } });
  const counts = { desired, loaded, failed };
  const event = { tenantId: null, subjectId };
  if (state === 'in_sync') await recordEvent(tx, { ...event, type: 'replica.in_sync', data: counts });
  if (state === 'failed') await recordEvent(tx, { ...event, type: 'replica.failed', data: { ...counts, code } });
  if (state === 'unreachable') await recordEvent(tx, { ...event, type: 'replica.unreachable', data: { code } });
}
