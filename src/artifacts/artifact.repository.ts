import { withTransaction, type Database, type Transaction } from '../lib/database.ts';
import { AppError } from '../lib/errors.ts';
import type { ArtifactStore, StoredArtifact } from './artifact-store.ts';

/**
 * Writes the row of an artifact whose bytes are in the store, unless the row exists already. A concurrent {@link
 * discardUnreferenced} waits until the transaction has ended, so that it does not remove these bytes.
 *
 * @throws AppError 503 `artifact_vanished` if the bytes were discarded after the put, which happens when another
 *   request with the same content fails at that moment. The request may be sent again.
 */
export async function registerArtifact(tx: Transaction, store: ArtifactStore, artifact: StoredArtifact): Promise<void> {
  await lock(tx, artifact.digest);
  if (!(await store.has(artifact.digest))) {
    throw new AppError({
      code: 'artifact_vanished',
      status: 503,
      message: `artifact ${artifact.digest} was discarded while it was being registered; send the request again`,
    });
  }
  const data = { digest: artifact.digest, kind: artifact.kind, bytes: BigInt(artifact.bytes) };
  await tx.artifact.createMany({ data: [data], skipDuplicates: true });
}

/** Removes stored bytes that no row names, after the transaction that should have named them has failed. */
export async function discardUnreferenced(db: Database, store: ArtifactStore, digest: string): Promise<void> {
  await withTransaction(db, async (tx) => {
    await lock(tx, digest);
    if ((await tx.artifact.count({ where: { digest } })) === 0) await store.remove(digest);
  });
}

/** Until the transaction ends, other processes wait to register or discard the same content. */
async function lock(tx: Transaction, digest: string): Promise<void> {
  await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${digest}, 7083))`;
}
