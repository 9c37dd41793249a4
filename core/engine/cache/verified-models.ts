import type { VerifiedFiles } from '../../formats/hugging-face/verified-files.ts';
import { EngineCache } from './engine-cache.ts';
import { ownSources, sha256 } from './sources.ts';

/** Keeps the fingerprints of verified model files in a folder of the engine's cache, for every process that shares it. */
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

/** Files that an earlier release has verified are verified again, because the checks may have changed. */
function keyOf(stamp: string): string {
  return sha256(JSON.stringify(['verified', stamp, ownSources()]));
}
