import { discardUnreferenced, lockArtifact, type ArtifactStore } from '../../../platform/artifacts/index.ts';
import type { Database } from '../../../platform/database/database.ts';
import type { HousekeepingTask } from '../housekeeper.ts';
import { exclusively } from '../housekeeping.repository.ts';
import { collectionRepository as repository } from './collection.repository.ts';

const PAGE = 500;

/**
 * Smallest age at which unreferenced artifacts are removed, that is, artifacts to which no row refers and stored bytes
 * without a row of their own, in milliseconds. This age is much longer than the time between storing an artifact and
 * committing the row that refers to it.
 */
const GRACE_MS = 86_400_000;

export interface ArtifactCollectionOptions {
  db: Database;
  artifacts: ArtifactStore;
  graceMs?: number;
  page?: number;
}

/**
 * Creates the task that removes unreferenced artifacts. These are artifacts whose datasets, versions or jobs were
 * removed, and bytes without a row, which a process leaves behind if it dies before it registers them. The row and the
 * bytes of an artifact are removed under the same lock that is taken to register an artifact. Nothing is removed from a
 * store that belongs to another database. If the process dies between removing the row and removing the bytes, the next
 * round finds the rest, because it looks for rows and for bytes.
 */
export function artifactCollectionTask(options: ArtifactCollectionOptions): HousekeepingTask {
  const { db, artifacts, graceMs = GRACE_MS, page = PAGE } = options;

  async function removeRows(signal: AbortSignal): Promise<number> {
    let count = 0;
    for (let after = ''; !signal.aborted;) {
      const found = await repository.unreferenced(db, { after, limit: page, graceMs });
      const kept = await repository.keptCandidates(db, found);
      for (const digest of found) {
        if (signal.aborted) return count;
        if (kept.has(digest)) continue;
        // The removal asks for the ownership inside a transaction that holds a worker's only connection, so cache it
        // beforehand.
        await artifacts.ownership.problem();
        const removed = await exclusively(db, async (tx) => {
          await lockArtifact(tx, digest);
          if (!(await repository.removeUnreferenced(tx, digest, graceMs))) return false;
          await artifacts.remove(digest);
          return true;
        });
        if (removed === null) return count;
        if (removed) count++;
      }
      const last = found.at(-1);
      if (last === undefined || found.length < page) break;
      after = last;
    }
    return count;
  }

  async function removeBytes(signal: AbortSignal): Promise<number> {
    let count = 0;
    let old: string[] = [];
    const flush = async (): Promise<void> => {
      const registered = await repository.registered(db, old);
      for (const digest of old.filter((one) => !registered.has(one))) {
        if (signal.aborted) return;
        if (await discardUnreferenced(db, artifacts, digest)) count++;
      }
      old = [];
    };
    for await (const { digest, storedAt } of artifacts.list()) {
      if (signal.aborted) return count;
      if (Date.now() - storedAt.getTime() >= graceMs) old.push(digest);
      if (old.length === page) await flush();
    }
    await flush();
    return count;
  }

  return {
    name: 'collection of artifacts',
    run: async (signal) => {
      // Each removal would be refused as well. Checking here fails before any row is read.
      const problem = await artifacts.ownership.problem();
      if (problem !== null) throw new Error(problem.message);
      return {
        artifacts: await removeRows(signal),
        unregistered: await removeBytes(signal),
        leftovers: signal.aborted ? 0 : await artifacts.removeLeftovers(graceMs),
      };
    },
  };
}
