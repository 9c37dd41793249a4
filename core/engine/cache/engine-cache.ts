import { createHash } from 'node:crypto';
import { mkdir, readFile, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { writeFileAtomic } from '../../formats/atomic-file.ts';
import { tidyCacheFolder } from './cache-folder.ts';

export interface EngineCacheOptions {
  /** Number of entries kept; the one used longest ago is dropped first. Default 64. */
  readonly maxEntries?: number;
  /** Size of all entries together, in bytes. Default 512 MiB. */
  readonly maxBytes?: number;
}

const EXTENSION = '.entry';

/** Bytes of the SHA-256 that an entry begins with. */
const CHECKSUM_SIZE = 32;

/**
 * Keeps in a folder what is costly to work out: encoded graphs, and how a base is rounded to 8 bits. Later processes and
 * those that run side by side share it. An entry is the SHA-256 of its content, followed by the content; it appears whole
 * or not at all. The cache never throws: a folder that cannot be written or a damaged file costs only the time that an
 * entry would have saved.
 */
export class EngineCache {
  readonly #folder: string;
  readonly #maxEntries: number;
  readonly #maxBytes: number;

  /** @param folder made when it is needed, readable by this user only */
  constructor(folder: string, { maxEntries = 64, maxBytes = 512 << 20 }: EngineCacheOptions = {}) {
    this.#folder = folder;
    this.#maxEntries = maxEntries;
    this.#maxBytes = maxBytes;
  }

  /** Returns the content kept under `key`, or null where there is none or it is damaged. */
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

  /** Whether something is kept under `key`, which may turn out to be damaged when it is read. */
  async has(key: string): Promise<boolean> {
    return stat(this.#path(key)).then(
      () => true,
      () => false,
    );
  }

  /** Keeps content under `key`, in place of what is there, and drops what exceeds the cache's bounds. */
  async write(key: string, content: Uint8Array): Promise<void> {
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      await writeFileAtomic(this.#path(key), Buffer.concat([checksum(content), content]));
      const [maxEntries, maxBytes] = [this.#maxEntries, this.#maxBytes];
      await tidyCacheFolder(this.#folder, { extension: EXTENSION, maxEntries, maxBytes });
    } catch {
      // The disk is full or read-only, so the next process works it out again.
    }
  }

  #path(key: string): string {
    return path.join(this.#folder, `${key}${EXTENSION}`);
  }
}

function checksum(content: Uint8Array): Buffer {
  return createHash('sha256').update(content).digest();
}
