import type { VerifiedFiles } from '../../formats/hugging-face/verified-files.ts';
import { EngineCache } from './engine-cache.ts';
import { ownSources, sha256 } from './sources.ts';

/** Persistent record of verified model files in the engine's cache folder, shared by all processes. */
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
 * Includes the code's hash in the key. The checks may have changed since an earlier release, so the files that it has
 * verified are verified again.
 */
function keyOf(stamp: string): string {
  return sha256(JSON.stringify(['verified', stamp, ownSources()]));
}
