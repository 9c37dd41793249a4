import { withTransaction, type Database, type Transaction } from '../../../src/platform/database/database.ts';
import { recordEvent } from '../../../src/delivery/events/index.ts';
import { createRollout, createRolloutLifecycle, type StoredOptions } from '../../../src/fleet/rollouts/index.ts';
import type { Fleet } from '../queue/fleet.ts';
import { planEntries } from '../queue/plan-entries.ts';
import { PATIENCE_MS } from '../../patience.ts';
import { unknownEvent } from '../support/index.ts';

/** Runs some work in a transaction and leaves it open. @returns a function that commits it */
export async function leftOpen(
  db: Database,
  work: (tx: Transaction) => Promise<unknown>,
): Promise<() => Promise<void>> {
  let commit = (): void => undefined;
  const held = new Promise<void>((resolve) => (commit = resolve));
  let done = (): void => undefined;
  const worked = new Promise<void>((resolve) => (done = resolve));
  const ended = withTransaction(
    db,
    async (tx) => {
      // The transaction may stay open for as long as a command takes on a busy machine.
      await tx.$executeRaw`SET LOCAL idle_in_transaction_session_timeout = 0`;
      await work(tx);
      done();
      await held;
    },
    { timeoutMs: 2 * PATIENCE_MS },
  );
  await Promise.race([worked, ended]);
  return () => (commit(), ended);
}

/** Records an event about a subject. */
export function happen(db: Database, subjectId: string, tenantId: string | null = null, data = {}): Promise<void> {
  return withTransaction(db, (tx) => recordEvent(tx, unknownEvent({ tenantId, subjectId, data })));
}

/** Starts a rollout of a fleet and plans its jobs. */
export async function planFleet(db: Database, fleet: Fleet): Promise<{ rolloutId: string; jobIds: string[] }> {
  const request = { baseModelVersionId: fleet.newVersionId, options: {} };
  const { rollout } = await withTransaction(db, (tx) => createRollout(tx, request));
  const lifecycle = createRolloutLifecycle({ db });
  const { options } = (await lifecycle.beginAnalysis(rollout.id))!;
  const entries = await planEntries(lifecycle, { ...request, id: rollout.id, options: options as StoredOptions });
  return { rolloutId: rollout.id, jobIds: entries!.map(({ id }) => id) };
}
