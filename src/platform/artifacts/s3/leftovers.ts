import type { Bucket } from './bucket.ts';
import { artifactKey, ARTIFACTS, digestOf, FOLDERS, putOf, QUARANTINE } from './layout.ts';

/** Files of a folder that one put of the folder has stored. */
interface Put {
  readonly digest: string;
  readonly put: string;
  readonly keys: string[];
  newest: Date;
}

/**
 * Removes what incomplete puts have left behind: multipart uploads and copies, and files of folders that no manifest
 * names.
 * @returns the number of removed leftovers
 */
export async function removeLeftovers(bucket: Bucket, before: Date): Promise<number> {
  // A bucket without a prefix may have uploads of other programs, which must not be aborted.
  let count = 0;
  for (const start of [ARTIFACTS, FOLDERS, QUARANTINE]) count += await bucket.abortUploads(start, before);
  const isListed = listing(bucket);
  for await (const puts of putsOfFolders(bucket)) {
    const old = puts.filter(({ newest }) => newest < before);
    // Nearly all folders are complete and were stored once. Only the others cost a request each.
    if (old.length === 0 || (puts.length === 1 && (await isListed(puts[0]!.digest)))) continue;
    const head = await bucket.head(artifactKey(puts[0]!.digest));
    for (const { put, keys } of old) {
      if (head?.metadata.put === put) continue;
      await bucket.remove(keys);
      count++;
    }
  }
  return count;
}

/**
 * Creates a function that tells whether the store's list of artifacts has a digest. Call it with digests in ascending
 * order.
 */
function listing(bucket: Bucket): (digest: string) => Promise<boolean> {
  const keys = bucket.list(ARTIFACTS);
  let last = '';
  return async (digest) => {
    while (last < digest) {
      const { value, done } = await keys.next();
      last = done === true ? '~' : (digestOf(value.key) ?? last);
    }
    return last === digest;
  };
}

/** Yields, for one folder after the other, the files that each put of the folder has stored. */
async function* putsOfFolders(bucket: Bucket): AsyncGenerator<Put[]> {
  let puts: Put[] = [];
  for await (const { key, modifiedAt } of bucket.list(FOLDERS)) {
    const found = putOf(key);
    if (found === null) continue;
    if (puts.length > 0 && puts[0]!.digest !== found.digest) {
      yield puts;
      puts = [];
    }
    const last = puts.at(-1);
    if (last?.put === found.put) {
      last.keys.push(key);
      if (modifiedAt > last.newest) last.newest = modifiedAt;
    } else puts.push({ ...found, keys: [key], newest: modifiedAt });
  }
  if (puts.length > 0) yield puts;
}
