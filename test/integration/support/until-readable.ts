import { vi } from 'vitest';
import { Prisma, type Database } from '../../../src/lib/database.ts';
import { readRows } from '../../../src/lib/database-reads.ts';
import { FIRST_RUNNING } from '../../../src/modules/events/index.ts';
import { PATIENCE_MS } from '../../patience.ts';

/**
 * Waits until readers of events, audit entries and changes get all that has been committed. They go up to the first transaction
 * that may still run in their database, and one of another test file counts while it ends, because they share a server.
 */
export async function untilReadable(db: Database): Promise<void> {
  const [committed] = await readRows<{ next: bigint }>(
    db,
    Prisma.sql`SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next`,
  );
  const isReadable = async (): Promise<boolean> => {
    const [row] = await readRows<{ reached: boolean }>(
      db,
      Prisma.sql`SELECT ${FIRST_RUNNING} >= ${committed!.next} AS reached`,
    );
    return row!.reached;
  };
  await vi.waitUntil(isReadable, { timeout: PATIENCE_MS, interval: 20 });
}
