import type { ArtifactStore } from '../artifact-store.ts';
import { storageAway } from '../storage-errors.ts';
import type { StoreOwnership } from './store-ownership.ts';

/**
 * Largest age of a cached result of the ownership check that a removal accepts, in milliseconds. Removals happen in
 * transactions of up to 30 s, and their callers ask for a new result before the transaction begins.
 */
const REMOVAL_MS = 60_000;

/**
 * Wraps a store so that only its own database may change it: nothing is removed unless the store belongs to the
 * database in use, and nothing is stored if it belongs to another one.
 */
export function ownedStore(store: ArtifactStore, ownership: StoreOwnership): ArtifactStore {
  const refuse = async (isChange: 'removal' | 'put'): Promise<void> => {
    const problem = await (isChange === 'put' ? ownership.problem() : ownership.problem(REMOVAL_MS));
    if (problem !== null && (problem.isForeign || isChange === 'removal')) throw storageAway(null, problem.message);
  };
  const owned = (inner: ArtifactStore): ArtifactStore => ({
    ...inner,
    ownership,
    putFile: async (source, kind) => {
      await refuse('put');
      return inner.putFile(source, kind);
    },
    putFolder: async (folder, kind) => {
      await refuse('put');
      return inner.putFolder(folder, kind);
    },
    checkWritable: async () => {
      await refuse('put');
      return inner.checkWritable();
    },
    remove: async (digest) => {
      await refuse('removal');
      return inner.remove(digest);
    },
    quarantine: async (digest) => {
      await refuse('removal');
      return inner.quarantine(digest);
    },
    removeLeftovers: async (olderThanMs) => {
      await refuse('removal');
      return inner.removeLeftovers(olderThanMs);
    },
    holding: (work) => inner.holding((held) => work(owned(held))),
  });
  return owned(store);
}
