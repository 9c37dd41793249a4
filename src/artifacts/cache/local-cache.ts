import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { setWritable } from '../durable-files.ts';
import { digestAt } from '../filesystem-store.ts';
import { placeOf } from '../manifest.ts';
import { ofDeadOwners } from '../scratch.ts';
import { kindOfEntry, type Temporaries } from '../temporaries.ts';

/** How often it is looked whether another process has fetched what this one waits for, in milliseconds. */
const LOOK_MS = 50;

/** Where the bytes of an artifact come from. */
export interface Fetch {
  bytes(): Promise<number>;
  /** Writes the file or the folder to a path at which nothing is, and checks its digest. */
  to(path: string): Promise<void>;
}

/**
 * Copies of artifacts on this machine, for all its processes. A copy is fetched by one of them while the others wait, appears as a
 * whole, is read-only, and is removed when the room is needed for others and nobody holds it: what was used longest ago goes first.
 */
export interface LocalCache {
  /**
   * Returns the path of a copy, which is fetched if it is not there.
   * @param options with `verify`, one that is there already is read, and fetched again if it is not what its digest says
   */
  use(digest: string, fetch: Fetch, options?: { readonly verify?: boolean }): Promise<string>;
  /** Runs `work` with a cache whose copies stay until it has ended, also beyond the limit. */
  holding<T>(work: (held: Pick<LocalCache, 'use'>) => Promise<T>): Promise<T>;
}

// Below its root: `sha256/ab/cdef…` the copies; `used/<hex>` with the size of each, written again with each use; `locks/<hex>` while a
// process fetches or removes it; `pins/<owner>~<hex>.<uuid>` for each one who holds it; and what temporaries.ts keeps.
//
// Whoever uses a copy pins it first and looks for a lock afterwards. Whoever removes one locks it first and looks for pins
// afterwards. So at least one of them sees the other.

export async function createLocalCache({
  temporaries,
  limitBytes,
}: {
  temporaries: Temporaries;
  limitBytes: number;
}): Promise<LocalCache> {
  const { root } = temporaries;
  for (const folder of ['sha256', 'used', 'locks', 'pins']) await mkdir(join(root, folder), { recursive: true });
  const cache = new Copies(temporaries, limitBytes);
  await cache.forgetDead();
  return {
    use: async (digest, fetch, options) => {
      const pin = await cache.pin(digest);
      return cache.use(digest, fetch, options?.verify ?? false).finally(pin.release);
    },
    holding: async (work) => {
      const pins: Pin[] = [];
      try {
        return await work({
          use: async (digest, fetch, options) => {
            pins.push(await cache.pin(digest));
            return cache.use(digest, fetch, options?.verify ?? false);
          },
        });
      } finally {
        for (const { release } of pins) await release();
      }
    },
  };
}

interface Pin {
  readonly release: () => Promise<void>;
}

const hexOf = (digest: string): string => digest.slice('sha256:'.length);

class Copies {
  readonly #temporaries: Temporaries;
  readonly #limitBytes: number;

  constructor(temporaries: Temporaries, limitBytes: number) {
    this.#temporaries = temporaries;
    this.#limitBytes = limitBytes;
  }

  /** Removes the pins of dead processes. */
  async forgetDead(): Promise<void> {
    await this.#livingPins();
  }

  async pin(digest: string): Promise<Pin> {
    const path = this.#at('pins', `${this.#temporaries.prefix}${hexOf(digest)}.${randomUUID()}`);
    await writeFile(path, '');
    return { release: () => rm(path, { force: true }) };
  }

  /** The caller has pinned it. */
  async use(digest: string, fetch: Fetch, isVerified: boolean): Promise<string> {
    const path = join(this.#temporaries.root, placeOf(digest));
    for (;;) {
      if (await this.#isLocked(digest)) {
        await wait(LOOK_MS);
        continue;
      }
      if (await this.#isThere(digest, path)) {
        if (!isVerified || (await digestAt(path)) === digest) return path;
        await this.#locked(digest, () => this.#remove(digest, path));
      } else await this.#locked(digest, () => this.#fetch(digest, path, fetch));
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
      const isGone = await this.#locked(copy.digest, async () => {
        if ((await this.#livingPins()).has(hexOf(copy.digest))) return false;
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

  /** The digests that living processes hold, in hexadecimal. */
  async #livingPins(): Promise<Set<string>> {
    const names = await readdir(this.#at('pins', ''));
    const dead = new Set(await ofDeadOwners(this.#temporaries.root, names));
    for (const name of dead) await rm(this.#at('pins', name), { force: true });
    return new Set(names.filter((name) => !dead.has(name)).map((name) => name.split('~')[1]!.split('.')[0]!));
  }

  async #isLocked(digest: string): Promise<boolean> {
    const path = this.#at('locks', hexOf(digest));
    const owner = await readFile(path, 'utf8').catch(() => null);
    if (owner === null) return false;
    if ((await ofDeadOwners(this.#temporaries.root, [owner])).length === 0) return true;
    // The owner is dead. Another process may have seen so as well, and have locked it anew since.
    const aside = this.#at('tmp', `${this.#temporaries.prefix}${randomUUID()}`);
    await rename(path, aside).catch(() => undefined);
    const removed = await readFile(aside, 'utf8').catch(() => owner);
    if (removed !== owner) await writeFile(path, removed, { flag: 'wx' }).catch(() => undefined);
    await rm(aside, { force: true });
    return removed !== owner;
  }

  /** Runs `work` under the lock of a copy. @returns undefined, without having run it, if another one has the lock */
  async #locked<T>(digest: string, work: () => Promise<T>): Promise<T | undefined> {
    const path = this.#at('locks', hexOf(digest));
    try {
      await writeFile(path, `${this.#temporaries.prefix}lock`, { flag: 'wx' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
      throw error;
    }
    try {
      return await work();
    } finally {
      await rm(path, { force: true });
    }
  }

  #at(folder: string, name: string): string {
    return join(this.#temporaries.root, folder, name);
  }
}
