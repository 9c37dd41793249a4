import type { QueueEntry } from '../../../platform/queue/catalog.ts';
import type { Transaction } from '../../../platform/database/database.ts';
import { recordEvent } from '../../../delivery/events/index.ts';
import { settleRollout } from '../settlement.ts';
import { supersedeJobs, type Superseded } from './job-succession.ts';
import type { RunningJobs } from './job-succession.repository.ts';
import type { StoredOptions } from '../rollout.schemas.ts';
import { UNPLANNED_ROLLOUT_STATES } from '../rollout.states.ts';
import { successionRepository as repository, type LockedRollout } from './succession.repository.ts';

/** Rollout and the older ones that it takes adapters from. All their rows are locked. */
export interface Succession {
  readonly rollout: LockedRollout;
  readonly older: readonly LockedRollout[];
}

/** Locks a rollout and the unfinished older rollouts. Null if the rollout does not exist. */
export async function lockSuccession(tx: Transaction, id: string): Promise<Succession | null> {
  const rows = await repository.lockWithOlder(tx, id);
  const rollout = rows.find((row) => row.id === id);
  return rollout === undefined ? null : { rollout, older: rows.filter((row) => row !== rollout) };
}

/** Result of taking adapters from older rollouts. */
interface Taken extends Superseded {
  /** Older rollouts to settle. */
  readonly concerned: readonly string[];
}

/**
 * Takes adapters away from older rollouts: jobs that no worker runs end, and the others finish or stop according to the
 * policy. The caller settles the older rollouts before the transaction ends.
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
 * Completes older rollouts that have no job left, and admits jobs in place of the ended ones. Lock the tenants before,
 * because this may lock the start tags.
 * @returns queue entries to enqueue after the commit
 */
export async function settleOlder(tx: Transaction, { concerned }: Pick<Taken, 'concerned'>): Promise<QueueEntry[]> {
  const entries: QueueEntry[] = [];
  for (const id of concerned) entries.push(...(await settleRollout(tx, id)));
  return entries;
}

/**
 * Whether a rollout is still planning. Such a rollout may still come across adapters that a newer one has taken: see
 * {@link withoutTaken}.
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
 * Leaves out adapters that a newer rollout has taken. The rollout's row must be locked; newer rollouts hold their own
 * locks while they take adapters.
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
