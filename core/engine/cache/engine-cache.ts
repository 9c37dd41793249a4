import { createHash } from 'node:crypto';
import { mkdir, readFile, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { writeFileAtomic } from '../../formats/atomic-file.ts';
import { pruneCacheFolder } from './cache-folder.ts';

export interface EngineCacheOptions {
  /** Largest number of entries; the least recently used one is dropped first. Default 64. */
  readonly maxEntries?: number;
  /** Largest total size of all entries in bytes. Default 512 MiB. */
  readonly maxBytes?: number;
}

const EXTENSION = '.entry';

/** Size of the SHA-256 at the beginning of an entry, in bytes. */
const CHECKSUM_SIZE = 32;

/**
 * Persistent cache of results that are costly to compute: encoded graphs, and the rounding of bases to 8 bits. Later
 * and concurrent processes share its folder. An entry is the SHA-256 of its content, followed by the content; it
 * appears complete or not at all. The cache never throws: a read-only folder or a damaged file costs only the time that
 * an entry would have saved.
 */
export class EngineCache {
  readonly #folder: string;
  readonly #maxEntries: number;
  readonly #maxBytes: number;

  /** @param folder created when needed, readable by this user only */
  constructor(folder: string, { maxEntries = 64, maxBytes = 512 << 20 }: EngineCacheOptions = {}) {
    this.#folder = folder;
    this.#maxEntries = maxEntries;
    this.#maxBytes = maxBytes;
  }

  /** Returns the content stored under `key`, or null if there is none or it is damaged. */
  async read(key: string): Promise<Uint8Array | null> {
    const file = this.#path(key);
    const entry = await readFile(file).catch(() => null);
    if (entry === null) return null;
    const content = entry.subarray(CHECKSUM_SIZE);
    if (!checksum(content).equals(entry.subarray(0, CHECKSUM_SIZE))) return null;
    const now = new Date();
    await utimes(file, now, now).catch(() => undefined);
    return content;
  }

  /** Whether content is stored under `key`; it may turn out to be damaged when it is read. */
  async has(key: string): Promise<boolean> {
    return stat(this.#path(key)).then(
      () => true,
      () => false,
    );
  }

  /** Stores content under `key`, replaces an earlier entry, and drops entries beyond the cache's limits. */
  async write(key: string, content: Uint8Array): Promise<void> {
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      await writeFileAtomic(this.#path(key), Buffer.concat([checksum(content), content]));
      const [maxEntries, maxBytes] = [this.#maxEntries, this.#maxBytes];
      await pruneCacheFolder(this.#folder, { extension: EXTENSION, maxEntries, maxBytes });
    } catch {
      // The disk is full or read-only: the next process computes the content again.
    }
  }

  #path(key: string): string {
    return path.join(this.#folder, `${key}${EXTENSION}`);
  }
}

function checksum(content: Uint8Array): Buffer {
  return createHash('sha256').update(content).digest();
}
