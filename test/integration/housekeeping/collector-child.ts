/**
 * Collects everything that is deleted, without a grace time, and kills itself before its nth query, or before or after
 * its nth removal of bytes. Arguments: URL of the database, folder of the store, n.
 */
import { createFilesystemStore } from '../../../src/platform/artifacts/index.ts';
import { artifactCollectionTask } from '../../../src/operations/housekeeping/collection/artifact-collection.ts';
import { collectionTask } from '../../../src/operations/housekeeping/collection/collection.ts';
import { createDatabase, type Database } from '../../../src/platform/database/database.ts';

const [url, folder, killAt] = process.argv.slice(2) as [string, string, string];
let count = 0;
const pass = (): void => {
  if (++count === Number(killAt)) process.kill(process.pid, 'SIGKILL');
};

const plain = createDatabase(url, { poolSize: 2 });
const db = plain.$extends({
  query: {
    $allOperations({ args, query }) {
      pass();
      return query(args);
    },
  },
}) as unknown as Database;
const store = await createFilesystemStore(folder);
const artifacts = {
  ...store,
  async remove(digest: string) {
    pass();
    await store.remove(digest);
    pass();
  },
};
const producer = { enqueueAfterCommit: () => Promise.resolve(), remove: () => Promise.resolve() };
const { signal } = new AbortController();
const removed = [
  await collectionTask({ db, producer, deletionGraceDays: 0, batch: 2 }).run(signal),
  await artifactCollectionTask({ db, artifacts, graceMs: 0, page: 2 }).run(signal),
];
process.send?.({ removed, count });
await plain.$disconnect();
process.disconnect();
