import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { setWritable } from '../durable-files.ts';
import { digestAt } from '../filesystem-store.ts';
import { placeOf } from '../manifest.ts';
import { kindOfEntry, type Temporaries } from '../temporaries.ts';
import { CacheLocks } from './cache-locks.ts';

/** Interval of checks whether another process has released an artifact's lock, in milliseconds. */
const LOOK_MS = 50;

/** Source from which the cache fetches one artifact. */
export interface Fetch {
  bytes(): Promise<number>;
  /** Writes the artifact, a file or a folder, to a path that does not exist yet, and checks its digest. */
  to(path: string): Promise<void>;
}

/**
 * Cache of artifacts on this machine, shared by all its processes. One process fetches a copy while the others wait. A
 * copy appears as a whole and is read-only. If space is needed, the least recently used copies that nobody holds are
 * removed.
 */
export interface LocalCache {
  /**
   * Returns the path of the cached copy of an artifact, which is fetched if the cache has none.
   * @param options with `verify`, a copy that exists already is read, and fetched again if it does not match its digest
   */
  use(digest: string, fetch: Fetch, options?: { readonly verify?: boolean }): Promise<string>;
  /**
   * Runs `work` with a cache from which no copy that `work` asks for is removed until `work` has ended, even if the
   * cache is then larger than its limit.
   */
  holding<T>(work: (held: Pick<LocalCache, 'use'>) => Promise<T>): Promise<T>;
}

// Layout below the root: `sha256/ab/cdef…` has the copies; `used/<hex>` has the size of each copy, and its modification
// time is that of the last use; cache-locks.ts and temporaries.ts have files of their own. Whoever uses a copy first
// marks it as held and then looks for a lock. Whoever removes a copy first locks it and then looks for marks. So at
// least one of them notices the other.

export async function createLocalCache({
  temporaries,
  limitBytes,
}: {
  temporaries: Temporaries;
  limitBytes: number;
}): Promise<LocalCache> {
  const { root } = temporaries;
  for (const folder of ['sha256', 'used']) await mkdir(join(root, folder), { recursive: true });
  const locks = new CacheLocks(root);
  const cache = new Copies(temporaries, locks, limitBytes);
  // This removes the marks of dead processes.
  await locks.held();
  const holding: LocalCache['holding'] = async (work) => {
    const releases: (() => Promise<void>)[] = [];
    try {
      return await work({
        use: async (digest, fetch, options) => {
          releases.push(await locks.hold(hexOf(digest)));
          return cache.use(digest, fetch, options?.verify ?? false);
        },
      });
    } finally {
      for (const release of releases) await release();
    }
  };
  return { use: (digest, fetch, options) => holding((held) => held.use(digest, fetch, options)), holding };
}

const hexOf = (digest: string): string => digest.slice('sha256:'.length);

class Copies {
  readonly #temporaries: Temporaries;
  readonly #locks: CacheLocks;
  readonly #limitBytes: number;

  constructor(temporaries: Temporaries, locks: CacheLocks, limitBytes: number) {
    this.#temporaries = temporaries;
    this.#locks = locks;
    this.#limitBytes = limitBytes;
  }

  /**
   * Returns the path of an artifact's copy, after fetching it if necessary. The caller has marked the copy as held, so
   * that it is not removed.
   */
  async use(digest: string, fetch: Fetch, isVerified: boolean): Promise<string> {
    const path = join(this.#temporaries.root, placeOf(digest));
    const isUsable = async (): Promise<boolean> =>
      (await this.#isThere(digest, path)) && (!isVerified || (await digestAt(path)) === digest);
    for (;;) {
      if (await this.#locks.isLocked(hexOf(digest))) {
        await wait(LOOK_MS);
        continue;
      }
      if (await isUsable()) return path;
      await this.#locks.tryWith(hexOf(digest), async () => {
        // Another process may have fetched the copy before this one had the lock, and use it by now.
        if (await isUsable()) return;
        await this.#remove(digest, path);
        await this.#fetch(digest, path, fetch);
      });
    }
  }

  async #isThere(digest: string, path: string): Promise<boolean> {
    if ((await kindOfEntry(path)) === undefined) return false;
    const now = new Date();
    // A copy without its file in `used/` is incomplete: a process died while it added or removed the copy.
    return utimes(this.#at('used', hexOf(digest)), now, now).then(
      () => true,
      () => false,
    );
  }

  async #fetch(digest: string, path: string, fetch: Fetch): Promise<void> {
    const bytes = await fetch.bytes();
    await this.#makeRoom(bytes);
    await this.#temporaries.at(async (temporary) => {
      await fetch.to(temporary);
      await mkdir(dirname(path), { recursive: true });
      await rename(temporary, path);
      await setWritable(path, false);
      await writeFile(this.#at('used', hexOf(digest)), String(bytes));
    });
  }

  /** Removes the least recently used copies until `bytes` more bytes fit into the cache. */
  async #makeRoom(bytes: number): Promise<void> {
    const copies = await this.#noted();
    let total = copies.reduce((sum, copy) => sum + copy.bytes, bytes);
    if (total <= this.#limitBytes) return;
    for (const copy of copies.sort((a, b) => a.usedAt - b.usedAt)) {
      const isGone = await this.#locks.tryWith(hexOf(copy.digest), async () => {
        if ((await this.#locks.held()).has(hexOf(copy.digest))) return false;
        await this.#remove(copy.digest, join(this.#temporaries.root, placeOf(copy.digest)));
        return true;
      });
      if (isGone === true) total -= copy.bytes;
      if (total <= this.#limitBytes) return;
    }
  }

  async #noted(): Promise<{ digest: string; bytes: number; usedAt: number }[]> {
    const noted = [];
    for (const hex of await readdir(this.#at('used', ''))) {
      const path = this.#at('used', hex);
      const read = await Promise.all([readFile(path, 'utf8'), stat(path)]).catch(() => null);
      if (read !== null) noted.push({ digest: `sha256:${hex}`, bytes: Number(read[0]), usedAt: read[1].mtimeMs });
    }
    return noted;
  }

  /**
   * Removes a copy. The file in `used/` that records the size and the last use of the copy is removed first, because no
   * process uses a copy without such a file.
   */
  async #remove(digest: string, path: string): Promise<void> {
    await rm(this.#at('used', hexOf(digest)), { force: true });
    const kind = await kindOfEntry(path);
    if (kind === undefined) return;
    if (kind === 'folder') await setWritable(path, true);
    await this.#temporaries.at((aside) => rename(path, aside));
  }

  #at(folder: string, name: string): string {
    return join(this.#temporaries.root, folder, name);
  }
}
