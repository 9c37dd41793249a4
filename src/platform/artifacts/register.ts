import { withTransaction, type Database, type Transaction } from '../database/database.ts';
import { unconfined } from '../database/row-security/confined-database.repository.ts';
import type { ArtifactStore, StoredArtifact } from './artifact-store.ts';
import { discardUnreferenced, registerArtifact } from './artifact.repository.ts';

/**
 * Runs `work` in the transaction that writes the row of an artifact that was just stored. If the transaction fails, no
 * row is written, and the stored bytes are removed unless another row names them or the database cannot be reached.
 */
export async function withRegisteredArtifact<T>(
  { db, artifacts }: { db: Database; artifacts: ArtifactStore },
  artifact: StoredArtifact,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  try {
    return await withTransaction(db, async (tx) => {
      await registerArtifact(tx, artifacts, artifact);
      return work(tx);
    });
  } catch (error) {
    // Unconfined, because rows of other tenants may name the same bytes. The caller needs the first error, and bytes
    // that no row names do no harm.
    await discardUnreferenced(unconfined(db), artifacts, artifact.digest).catch(() => undefined);
    throw error;
  }
}
