import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { setWritable } from '../durable-files.ts';
import { digestAt } from '../filesystem-store.ts';
import { placeOf } from '../manifest.ts';
import { kindOfEntry, type Temporaries } from '../temporaries.ts';
import { CacheLocks } from './cache-locks.ts';

/** Interval between checks whether another process has given up an artifact's lock, in milliseconds. */
const LOOK_MS = 50;

/** Source of an artifact's bytes. */
export interface Fetch {
  bytes(): Promise<number>;
  /** Writes the file or the folder to a path at which nothing is, and checks its digest. */
  to(path: string): Promise<void>;
}

/**
 * Copies of artifacts on this machine, for all its processes. A copy is fetched by one of them while the others wait,
 * appears as a whole, is read-only, and is removed when the room is needed for others and nobody holds it: what was
 * used longest ago goes first.
 */
export interface LocalCache {
  /**
   * Returns the path of a copy, which is fetched if it is not there.
   * @param options with `verify`, one that is there already is read, and fetched again if it is not what its digest
   * says
   */
  use(digest: string, fetch: Fetch, options?: { readonly verify?: boolean }): Promise<string>;
  /** Runs `work` with a cache whose copies stay until it has ended, also beyond the limit. */
  holding<T>(work: (held: Pick<LocalCache, 'use'>) => Promise<T>): Promise<T>;
}

// Below its root: `sha256/ab/cdef…` the copies; `used/<hex>` with the size of each, written again with each use; what
// cache-locks.ts keeps of who fetches or removes a copy and who holds one; and what temporaries.ts keeps.
//
// Whoever uses a copy holds it first and looks for a lock afterwards. Whoever removes one locks it first and looks for
// holders afterwards. So at least one of them sees the other.

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
  // Removes the marks of dead processes.
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

  /** The caller holds it. */
  async use(digest: string, fetch: Fetch, isVerified: boolean): Promise<string> {
    const path = join(this.#temporaries.root, placeOf(digest));
    for (;;) {
      if (await this.#locks.isLocked(hexOf(digest))) {
        await wait(LOOK_MS);
        continue;
      }
      if (await this.#isThere(digest, path)) {
        if (!isVerified || (await digestAt(path)) === digest) return path;
        await this.#locks.tryWith(hexOf(digest), () => this.#remove(digest, path));
      } else await this.#locks.tryWith(hexOf(digest), () => this.#fetch(digest, path, fetch));
    }
  }

  async #isThere(digest: string, path: string): Promise<boolean> {
    if ((await kindOfEntry(path)) === undefined) return false;
    const now = new Date();
    // A copy whose note is missing is one that a process was removing when it died, or was about to note.
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
      await this.#remove(digest, path);
      await mkdir(dirname(path), { recursive: true });
      await rename(temporary, path);
      await setWritable(path, false);
      await writeFile(this.#at('used', hexOf(digest)), String(bytes));
    });
  }

  /** Removes what was used longest ago until so many bytes fit. */
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

  /** Removes a copy in one step. Its note goes first: without it, nobody takes what is left. */
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
