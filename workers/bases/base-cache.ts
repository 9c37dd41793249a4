import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { writeFileAtomic } from '../../core/formats/atomic-file.ts';
import { CacheLocks } from '../../src/platform/artifacts/cache/cache-locks.ts';
import { bytesOf, SourceError, type SourceFile } from '../../src/platform/base-sources/index.ts';
import { BASE_CACHE_BYTES_VARIABLE } from '../../src/platform/config/variables.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { fetchFiles, type FetchOptions } from './fetch-files.ts';

export interface BaseCacheOptions {
  /** Absolute path of the folder. Processes of one machine may share it. */
  readonly folder: string;
  /** Largest size of all bases in it, in bytes. */
  readonly maxBytes: number;
  /** Keys of the bases that the training process of this worker has loaded. */
  readonly loaded: () => readonly string[];
  readonly logger: Logger;
}

/** A base that is to be fetched. */
export interface FetchedBase {
  readonly key: string;
  readonly files: readonly SourceFile[];
}

export interface CacheFetchOptions extends FetchOptions {
  /** Looks at all files, with the SHA-256 of each, before the base appears. If it finds a fault of the source, they are removed. */
  readonly check?: (folder: string, hashes: ReadonlyMap<string, string>) => Promise<void>;
}

const PARTIAL = '.partial';
const RECORD = '.json';
const SPACE_LOCK = 'space';
const REMOVED = 'removed-';
const KEY = /^[0-9a-f]{40}$/;

/** What the cache has of a base. A base that is being fetched counts with its whole size. */
interface Kept {
  readonly key: string;
  readonly bytes: number;
  readonly usedAtMs: number;
}

/**
 * The bases that this machine has fetched, each in a folder that its key names. A folder appears when all of its files are there and
 * checked; until then they are in a folder beside it, where the next attempt goes on. What was not used for the longest time gives way.
 */
export class BaseCache {
  readonly #options: BaseCacheOptions;
  readonly #locks: CacheLocks;

  constructor(options: BaseCacheOptions) {
    this.#options = options;
    this.#locks = new CacheLocks(options.folder);
  }

  /** Where the files of a base are, or will be. */
  folderOf(key: string): string {
    return path.join(this.#options.folder, key);
  }

  /** The key of a base whose folder this is; null if it is none of this cache. */
  keyOf(folder: string): string | null {
    const key = path.basename(folder);
    return KEY.test(key) && this.folderOf(key) === folder ? key : null;
  }

  async has(key: string): Promise<boolean> {
    return isThere(this.folderOf(key));
  }

  /** Keeps a base from being removed until the function that is returned is called. It may not be there. */
  async hold(key: string): Promise<() => Promise<void>> {
    await mkdir(this.#options.folder, { recursive: true });
    const release = await this.#locks.hold(key);
    // Rounded up, because the times of files are finer.
    const now = new Date(Date.now() + 1);
    await utimes(this.folderOf(key), now, now).catch(() => undefined);
    return release;
  }

  /**
   * Fetches a base that the caller holds, unless it is there. One process of the machine fetches it and the others wait.
   * @returns the SHA-256 of each file by its name; null if it was there
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

  /** Removes bases until this one fits. @throws SourceError `base_cache_too_small` */
  #makeRoom({ key, files }: FetchedBase, signal: AbortSignal): Promise<void> {
    return this.#locks.with(SPACE_LOCK, signal, async () => {
      const { maxBytes } = this.#options;
      const needed = bytesOf(files);
      // Nothing gives way to what does not fit in any case.
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

  /** Removes what a process has left that died while it removed a base. Only one at a time removes, which has the lock. */
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

  /** Removes a base that nobody uses, whole or in part. False if somebody does. */
  async #remove(key: string): Promise<boolean> {
    const { folder, loaded, logger } = this.#options;
    const isUsed = async () => loaded().includes(key) || (await this.#locks.held()).has(key);
    if (await isUsed()) return false;
    const aside = path.join(folder, `${REMOVED}${randomUUID()}`);
    const place = (await this.has(key)) ? this.folderOf(key) : `${this.folderOf(key)}${PARTIAL}`;
    await rename(place, aside);
    // Somebody may have begun to use it meanwhile: who comes later does not find it, and fetches it again.
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
    `the base model has ${needed} bytes, and the cache of the worker may have ${maxBytes}, ${used} of which are in use: raise ` +
    `${BASE_CACHE_BYTES_VARIABLE}`;
  return new SourceError('base_cache_too_small', message);
}

function isThere(place: string): Promise<boolean> {
  return stat(place).then(
    () => true,
    () => false,
  );
}
