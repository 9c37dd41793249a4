import { mkdir, utimes } from 'node:fs/promises';
import path from 'node:path';
import { pruneCacheFolder } from '../engine/cache/cache-folder.ts';
import { ownSources, sha256, sourcesHash } from '../engine/cache/sources.ts';
import { loadEvolution, saveEvolution } from '../method/evolution/evolution-file.ts';
import type { Evolution } from '../method/evolution/evolution.ts';

const EXTENSION = '.evolution';

/**
 * Largest size of all cached evolutions together, in bytes. The evolution of a base with 7 billion parameters takes 0.3
 * GiB.
 */
const MOST_BYTES = 2 * 2 ** 30;

/**
 * Source folders of the code that computes an evolution. A change in them, or in the source folders of the engine's
 * caches, makes cached evolutions invalid.
 */
const SOURCE_FOLDERS = ['method/evolution', 'linalg'].map((name) => path.join(import.meta.dirname, '..', name));

let ownMethod: string | undefined;

/** Pair of base model versions, given by the fingerprints of their weights. */
export type VersionPair = Pick<Evolution, 'oldFingerprint' | 'newFingerprint'>;

/**
 * Cache of evolutions in a folder, for later processes that carry adapters over between the same versions. It never
 * throws, like the engine's cache: an evolution that cannot be stored or read is computed again.
 */
export class EvolutionCache {
  readonly #folder: string;

  /** @param folder cache folder; it is created with the first evolution, readable by this user only */
  constructor(folder: string) {
    this.#folder = folder;
  }

  async find(pair: VersionPair): Promise<Evolution | null> {
    const file = this.#path(pair);
    const found = await loadEvolution(file).catch(() => null);
    if (found?.oldFingerprint !== pair.oldFingerprint || found.newFingerprint !== pair.newFingerprint) return null;
    const now = new Date();
    await utimes(file, now, now).catch(() => undefined);
    return found;
  }

  async keep(evolution: Evolution): Promise<void> {
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      await saveEvolution(this.#path(evolution), evolution);
      await pruneCacheFolder(this.#folder, { extension: EXTENSION, maxEntries: Infinity, maxBytes: MOST_BYTES });
    } catch {
      // The disk may be full or read-only. Then the next process computes the evolution again.
    }
  }

  /**
   * Returns the path of the file that caches the evolution of two bases. Its name is a hash of both fingerprints and of
   * the source code, because the method may have changed since an earlier release.
   */
  #path({ oldFingerprint, newFingerprint }: VersionPair): string {
    ownMethod ??= sourcesHash(SOURCE_FOLDERS);
    const key = sha256(JSON.stringify(['evolution', oldFingerprint, newFingerprint, ownSources(), ownMethod]));
    return path.join(this.#folder, `${key}${EXTENSION}`);
  }
}
