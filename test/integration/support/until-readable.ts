import { vi } from 'vitest';
import { Prisma, type Database } from '../../../src/platform/database/database.ts';
import { readRows } from '../../../src/platform/database/database-reads.ts';
import { PATIENCE_MS } from '../../patience.ts';

/**
 * Waits until readers of events, audit entries and changes get all that has been committed, and go on getting it. They
 * go up to the first transaction that may still run in their database. One of another test file, which shares the
 * server, counts for a moment while it ends, even if it did not count before, so this waits for the end of all that
 * began earlier, in whichever database.
 */
export async function untilReadable(db: Database): Promise<void> {
  const [committed] = await readRows<{ next: bigint }>(
    db,
    Prisma.sql`SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next`,
  );
  const isReadable = async (): Promise<boolean> => {
    const [row] = await readRows<{ reached: boolean }>(
      db,
      Prisma.sql`SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint >= ${committed!.next} AS reached`,
    );
    return row!.reached;
  };
  await vi.waitUntil(isReadable, { timeout: PATIENCE_MS, interval: 20 });
}
