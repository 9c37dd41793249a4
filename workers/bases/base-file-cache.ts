import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { writeFileAtomic } from '../../core/formats/atomic-file.ts';
import { CacheLocks } from '../../src/platform/artifacts/cache/cache-locks.ts';
import { bytesOf, SourceError, type SourceFile } from '../../src/platform/base-sources/index.ts';
import { SETTINGS } from '../../src/platform/config/settings.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { fetchFiles, type FetchOptions } from './fetch-files.ts';

export interface BaseFileCacheOptions {
  /** Absolute path of the folder that holds the cache. Several processes of one machine may share it. */
  readonly folder: string;
  /** Largest total size of the cached bases, in bytes. */
  readonly maxBytes: number;
  /** Returns the keys of the bases that this worker's training process has in memory, which must not be evicted. */
  readonly loaded: () => readonly string[];
  readonly logger: Logger;
}

/** Base to be fetched, with its files. The key is its folder name in the cache. */
export interface FetchedBase {
  readonly key: string;
  readonly files: readonly SourceFile[];
}

export interface CacheFetchOptions extends FetchOptions {
  /**
   * Checks all files, given the SHA-256 of each, before the base's folder appears in the cache. If it throws a
   * SourceError, the cache removes the files.
   */
  readonly check?: (folder: string, hashes: ReadonlyMap<string, string>) => Promise<void>;
}

const PARTIAL = '.partial';
const RECORD = '.json';
const SPACE_LOCK = 'space';
const REMOVED = 'removed-';
const KEY = /^[0-9a-f]{40}$/;

/** Base in the cache. A base that is being fetched counts with its full size. */
interface Kept {
  readonly key: string;
  readonly bytes: number;
  readonly usedAtMs: number;
}

/**
 * Cache of the bases that this machine has fetched, each in a folder named by its key. A folder appears once all of its
 * files are fetched and checked; until then they are in a partial folder beside it, where the next attempt continues.
 * To make room, the cache evicts the least recently used base.
 */
export class BaseFileCache {
  readonly #options: BaseFileCacheOptions;
  readonly #locks: CacheLocks;

  constructor(options: BaseFileCacheOptions) {
    this.#options = options;
    this.#locks = new CacheLocks(options.folder);
  }

  /** Path of the folder that a base has in the cache, even if it was not fetched yet. */
  folderOf(key: string): string {
    return path.join(this.#options.folder, key);
  }

  /** Key of the base that a folder of the cache belongs to; null if the folder is not in this cache. */
  keyOf(folder: string): string | null {
    const key = path.basename(folder);
    return KEY.test(key) && this.folderOf(key) === folder ? key : null;
  }

  async has(key: string): Promise<boolean> {
    return isThere(this.folderOf(key));
  }

  /** Protects a base from eviction until the returned function is called. The base may be fetched later. */
  async hold(key: string): Promise<() => Promise<void>> {
    await mkdir(this.#options.folder, { recursive: true });
    const release = await this.#locks.hold(key);
    // Round up, because file times have a finer resolution.
    const now = new Date(Date.now() + 1);
    await utimes(this.folderOf(key), now, now).catch(() => undefined);
    return release;
  }

  /**
   * Fetches a base that the caller holds, unless the cache has it. One process of the machine fetches it and the others
   * wait.
   * @returns the SHA-256 of each file by its name; null if the cache had the base
   * @throws SourceError, an error of the file system, or the signal's reason
   */
  async fetch(
    base: FetchedBase,
    { check = () => Promise.resolve(), ...options }: CacheFetchOptions,
  ): Promise<ReadonlyMap<string, string> | null> {
    await mkdir(this.#options.folder, { recursive: true });
    if (await this.has(base.key)) return null;
    return this.#locks.with(base.key, options.signal, async () => {
      if (await this.has(base.key)) return null;
      await this.#makeRoom(base, options.signal);
      const partial = `${this.folderOf(base.key)}${PARTIAL}`;
      await mkdir(partial, { recursive: true });
      const hashes = await fetchFiles(partial, base.files, options);
      await check(partial, hashes).catch(async (error: unknown) => {
        if (error instanceof SourceError) await rm(partial, { recursive: true, force: true });
        throw error;
      });
      await rename(partial, this.folderOf(base.key));
      return hashes;
    });
  }

  /**
   * Evicts other bases until the given one fits into the cache.
   * @throws SourceError `base_cache_too_small`
   */
  #makeRoom({ key, files }: FetchedBase, signal: AbortSignal): Promise<void> {
    return this.#locks.with(SPACE_LOCK, signal, async () => {
      const { maxBytes } = this.#options;
      const needed = bytesOf(files);
      // Evict nothing for a base that is larger than the cache.
      if (needed > maxBytes) throw tooSmall(needed, 0, maxBytes);
      await this.#clear();
      const kept = (await this.#kept()).filter((one) => one.key !== key);
      const others = kept.sort((a, b) => a.usedAtMs - b.usedAtMs);
      let used = others.reduce((sum, { bytes }) => sum + bytes, 0);
      for (const { key: oldest, bytes } of others) {
        if (used + needed <= maxBytes) break;
        if (await this.#remove(oldest)) used -= bytes;
      }
      if (used + needed > maxBytes) throw tooSmall(needed, used, maxBytes);
      await writeFileAtomic(this.#recordOf(key), JSON.stringify({ bytes: needed }));
    });
  }

  /** Removes leftovers of a process that died while it removed a base. The lock allows only one process at a time. */
  async #clear(): Promise<void> {
    const { folder } = this.#options;
    const left = (await readdir(folder)).filter((name) => name.startsWith(REMOVED));
    for (const name of left) await rm(path.join(folder, name), { recursive: true, force: true });
  }

  async #kept(): Promise<Kept[]> {
    const names = await readdir(this.#options.folder);
    const keys = names.filter((name) => name.endsWith(RECORD)).map((name) => name.slice(0, -RECORD.length));
    const kept: Kept[] = [];
    for (const key of keys.filter((name) => KEY.test(name))) {
      const folder = [this.folderOf(key), `${this.folderOf(key)}${PARTIAL}`];
      const stats = (await Promise.all(folder.map((one) => stat(one).catch(() => null)))).find((one) => one !== null);
      if (stats === undefined) continue;
      const record = JSON.parse(await readFile(this.#recordOf(key), 'utf8')) as { bytes: number };
      kept.push({ key, bytes: record.bytes, usedAtMs: stats.mtimeMs });
    }
    return kept;
  }

  /** Removes a base that is not in use, whole or partial. Returns false if it is in use. */
  async #remove(key: string): Promise<boolean> {
    const { folder, loaded, logger } = this.#options;
    const isUsed = async () => loaded().includes(key) || (await this.#locks.held()).has(key);
    if (await isUsed()) return false;
    const aside = path.join(folder, `${REMOVED}${randomUUID()}`);
    const place = (await this.has(key)) ? this.folderOf(key) : `${this.folderOf(key)}${PARTIAL}`;
    await rename(place, aside);
    // Another process may have started to use the base meanwhile. Later ones do not find it and fetch it again.
    if (await isUsed()) {
      await rename(aside, place);
      return false;
    }
    await rm(this.#recordOf(key), { force: true });
    await rm(aside, { recursive: true, force: true });
    logger.info({ base: key }, 'base model removed from the cache');
    return true;
  }

  #recordOf(key: string): string {
    return `${this.folderOf(key)}${RECORD}`;
  }
}

function tooSmall(needed: number, used: number, maxBytes: number): SourceError {
  const message =
    `the base model has ${needed} bytes, and the cache of the worker may have ${maxBytes}, ` +
    `${used} of which are in use: raise ${SETTINGS.baseCacheBytes.variable}`;
  return new SourceError('base_cache_too_small', message);
}

function isThere(place: string): Promise<boolean> {
  return stat(place).then(
    () => true,
    () => false,
  );
}
