import { withTransaction, type Database, type Transaction } from '../lib/database.ts';
import type { ArtifactStore, StoredArtifact } from './artifact-store.ts';
import { discardUnreferenced, registerArtifact } from './artifact.repository.ts';

/**
 * Runs `work` in the transaction that writes the row of an artifact just put. If it fails, neither the rows nor the
 * bytes stay (the bytes only where another row names them, or where the database cannot be asked).
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
    // The first error is the one to tell; bytes that nobody names do no harm.
    await discardUnreferenced(db, artifacts, artifact.digest).catch(() => undefined);
    throw error;
  }
}
