import { Prisma, type Database } from '../../../src/lib/database.ts';
import { readRows } from '../../../src/lib/database-reads.ts';
import { FIRST_RUNNING } from '../../../src/modules/events/index.ts';
import { eventually } from '../queue/test-queue.ts';

/**
 * Waits until readers of events, audit entries and changes get all that has been committed. They go up to the first transaction
 * that may still run in their database, and one of another test file counts while it ends, because they share a server.
 */
export async function untilReadable(db: Database): Promise<void> {
  const [{ next }] = (await readRows<{ next: bigint }>(
    db,
    Prisma.sql`SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next`,
  )) as [{ next: bigint }];
  await eventually('what was committed can be read', async () => {
    const [row] = await readRows<{ isReadable: boolean }>(
      db,
      Prisma.sql`SELECT ${FIRST_RUNNING} >= ${next} AS "isReadable"`,
    );
    return row!.isReadable;
  });
}
