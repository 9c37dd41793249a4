import type { QueueEntry } from '../../../platform/queue/catalog.ts';
import type { Transaction } from '../../../platform/database/database.ts';
import { recordEvent } from '../../../delivery/events/index.ts';
import { settleRollout } from '../settlement.ts';
import { supersedeJobs, type Superseded } from './job-succession.ts';
import type { RunningJobs } from './job-succession.repository.ts';
import type { StoredOptions } from '../rollout.schemas.ts';
import { UNPLANNED_ROLLOUT_STATES } from '../rollout.states.ts';
import { successionRepository as repository, type LockedRollout } from './succession.repository.ts';

/**
 * Rollout with the unfinished rollouts to older versions, from which it may take adapters. The rows of all of them are
 * locked.
 */
export interface Succession {
  readonly rollout: LockedRollout;
  readonly older: readonly LockedRollout[];
}

/**
 * Locks a rollout and the unfinished rollouts of its base model to older versions. Null if the rollout does not exist.
 */
export async function lockSuccession(tx: Transaction, id: string): Promise<Succession | null> {
  const rows = await repository.lockWithOlder(tx, id);
  const rollout = rows.find((row) => row.id === id);
  return rollout === undefined ? null : { rollout, older: rows.filter((row) => row !== rollout) };
}

/** Result of taking adapters from rollouts to older versions. */
interface Taken extends Superseded {
  /** Identifiers of the older rollouts that the caller has to bring up to date by {@link settleOlder}. */
  readonly concerned: readonly string[];
}

/**
 * Takes adapters over from the rollouts of older base versions. Jobs of these adapters in the older rollouts are ended
 * if no worker has claimed them; the others run to their end or are cancelled, according to the policy of the newer
 * rollout. The caller has to bring the older rollouts up to date by {@link settleOlder} before the transaction ends.
 */
export async function takeAdapters(
  tx: Transaction,
  { rollout, older }: Succession,
  adapterIds: readonly string[],
): Promise<Taken> {
  const { id: by, options } = rollout;
  const running = (options as StoredOptions).policy?.supersede ?? 'finish';
  const rolloutIds = older.map(({ id }) => id);
  const superseded = await supersedeJobs(tx, { by, running, rolloutIds, adapterIds });
  const concerned = older
    .filter(({ id, state }) => superseded.rolloutIds.has(id) || isUnplanned(state))
    .map(({ id }) => id);
  await mark(tx, concerned, { by, running });
  return { ...superseded, concerned };
}

/**
 * Brings rollouts to older versions up to date after adapters were taken from them: completes those that have nothing
 * left to do, and admits jobs in place of the ended ones. The tenants' rows must be locked before this call, because
 * the call may lock the assignment of start tags.
 * @returns the queue entries to add after the commit
 */
export async function settleOlder(tx: Transaction, { concerned }: Pick<Taken, 'concerned'>): Promise<QueueEntry[]> {
  const entries: QueueEntry[] = [];
  for (const id of concerned) entries.push(...(await settleRollout(tx, id)));
  return entries;
}

/**
 * Whether the jobs of a rollout are not all planned yet. Its planning may still come across adapters that a newer
 * rollout has taken, and has to leave them out by {@link withoutTaken}.
 */
function isUnplanned(state: string): boolean {
  return UNPLANNED_ROLLOUT_STATES.some((unplanned) => unplanned === state);
}

async function mark(
  tx: Transaction,
  ids: readonly string[],
  { by, running }: { by: string; running: RunningJobs },
): Promise<void> {
  if (ids.length === 0) return;
  for (const { id, state } of await repository.markSuperseded(tx, ids, by)) {
    const data = { from: state, superseded_by: by, running };
    await recordEvent(tx, { tenantId: null, type: 'rollout.superseded', subjectId: id, data });
  }
}

/**
 * Leaves out those of the adapters found in planning that a rollout to a newer version has taken. The rollout's row
 * must be locked; newer rollouts lock it while they take adapters.
 */
export async function withoutTaken<Found extends { readonly adapterId: string }>(
  tx: Transaction,
  rolloutId: string,
  found: readonly Found[],
): Promise<Found[]> {
  const taken = new Set(
    await repository.takenByNewer(
      tx,
      rolloutId,
      found.map(({ adapterId }) => adapterId),
    ),
  );
  return found.filter(({ adapterId }) => !taken.has(adapterId));
}
