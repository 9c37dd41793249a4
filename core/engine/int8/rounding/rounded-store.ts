import { mkdir, rm, statfs, utimes } from 'node:fs/promises';
import path from 'node:path';
import { INT8_CACHE_GB } from '../../../options/precisions.ts';
import { pruneCacheFolder } from '../../cache/cache-folder.ts';
import { RoundedFile } from './rounded-file.ts';

const EXTENSION = '.int8';

/**
 * Store of rounded matrices in a folder, one file for each base, for later and concurrent processes. The total size
 * stays within `maxBytes`, and a file is written only if it leaves at least half of the disk's free space. Like the
 * engine's cache it never throws: if nothing can be stored, bases are rounded again.
 */
export class RoundedStore {
  readonly #folder: string;
  readonly #maxBytes: number;

  /** @param folder created when needed, readable by this user only */
  constructor(folder: string, maxBytes = INT8_CACHE_GB * 2 ** 30) {
    this.#folder = folder;
    this.#maxBytes = maxBytes;
  }

  /** Opens the file of `key`; null if there is none, or it is damaged. The caller closes it. */
  async open(key: string): Promise<RoundedFile | null> {
    const now = new Date();
    await utimes(this.#path(key), now, now).catch(() => undefined);
    return RoundedFile.open(this.#path(key));
  }

  /**
   * Starts a file of about `bytes` bytes, after making room for it; null if that is impossible or exceeds the limits.
   */
  async create(key: string, bytes: number): Promise<RoundedFile | null> {
    if (bytes > this.#maxBytes) return null;
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      const maxBytes = this.#maxBytes - bytes;
      await pruneCacheFolder(this.#folder, { extension: EXTENSION, maxEntries: Infinity, maxBytes });
      const { bavail, bsize } = await statfs(this.#folder);
      return bytes > (bavail * bsize) / 2 ? null : await RoundedFile.create(this.#path(key));
    } catch {
      return null;
    }
  }

  async remove(key: string): Promise<void> {
    await rm(this.#path(key), { force: true }).catch(() => undefined);
  }

  #path(key: string): string {
    return path.join(this.#folder, `${key}${EXTENSION}`);
  }
}
