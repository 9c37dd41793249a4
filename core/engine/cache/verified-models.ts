import type { VerifiedFiles } from '../../formats/hugging-face/verified-files.ts';
import { EngineCache } from './engine-cache.ts';
import { ownSources, sha256 } from './sources.ts';

/**
 * Persistent record of the base model files whose content was read and checked. It lies in the engine's cache folder,
 * and all processes share it.
 */
export class VerifiedModels implements VerifiedFiles {
  readonly #cache: EngineCache;

  constructor(folder: string) {
    this.#cache = new EngineCache(folder, { maxEntries: 1024, maxBytes: 1 << 20 });
  }

  async find(stamp: string): Promise<string | null> {
    const known = await this.#cache.read(keyOf(stamp));
    return known && Buffer.from(known).toString();
  }

  async add(stamp: string, fingerprint: string): Promise<void> {
    await this.#cache.write(keyOf(stamp), Buffer.from(fingerprint));
  }
}

/**
 * Makes the key of an entry from a stamp of the files and a hash of this process's code. With other code the key
 * differs, so another release, which may check more, verifies the files again.
 */
function keyOf(stamp: string): string {
  return sha256(JSON.stringify(['verified', stamp, ownSources()]));
}
