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
  await lockArtifact(tx, artifact.digest);
  if (!(await store.has(artifact.digest))) {
    throw new AppError({
      code: 'artifact_vanished',
      status: 503,
      message: `artifact ${artifact.digest} was discarded while it was being registered; send the request again`,
    });
  }
  const { digest, kind } = artifact;
  // The collector leaves alone what was registered lately, because the row that refers to it may still be to come.
  await tx.artifact.upsert({
    where: { digest },
    create: { digest, kind, bytes: BigInt(artifact.bytes) },
    update: { createdAt: new Date() },
  });
}

/**
 * Removes stored bytes that no row names, after the transaction that should have named them has failed.
 * @returns whether they were removed
 */
export function discardUnreferenced(db: Database, store: ArtifactStore, digest: string): Promise<boolean> {
  return withTransaction(db, async (tx) => {
    await lockArtifact(tx, digest);
    if ((await tx.artifact.count({ where: { digest } })) > 0) return false;
    await store.remove(digest);
    return true;
  });
}

/** Until the transaction ends, other processes wait to register or discard the same content. */
export async function lockArtifact(tx: Transaction, digest: string): Promise<void> {
  await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${digest}, 7083))`;
}
