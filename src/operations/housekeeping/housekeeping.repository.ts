import { withTransaction, type Database, type Transaction } from '../../platform/database/database.ts';

/**
 * Runs one step of the housekeeping in a transaction, unless another process is running a step, which a lock in the
 * database shows.
 * @returns the result of the step; null if another process holds the lock
 */
export function exclusively<T>(db: Database, step: (tx: Transaction) => Promise<T>): Promise<T | null> {
  return withTransaction(db, async (tx) => {
    const [row] = await tx.$queryRaw<{ held: boolean }[]>`SELECT pg_try_advisory_xact_lock(7236836) AS held`;
    return row?.held === true ? step(tx) : null;
  });
}
