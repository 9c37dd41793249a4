import path from 'node:path';
import { createSources, createUploads, withUploads } from '../../src/platform/base-sources/index.ts';
import type { ArtifactStore } from '../../src/platform/artifacts/artifact-store.ts';
import type { Config } from '../../src/platform/config/config.ts';
import { knownSecretKeys } from '../../src/platform/config/secret-key-file.ts';
import type { Database } from '../../src/platform/database/database.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { createSecretBox } from '../../src/platform/config/secret-box.ts';
import { BaseFileCache } from './base-file-cache.ts';
import { FetchedBases, type LocalBases } from './local-bases.ts';

interface OpenOptions {
  readonly db: Database;
  readonly config: Config;
  readonly artifacts: ArtifactStore;
  /** Returns the folders of the bases that the training process has in memory. */
  readonly loaded: () => readonly string[];
  readonly logger: Logger;
}

export interface OpenedBases {
  readonly bases: LocalBases;
  /**
   * Name by which the database's rows of base model versions know a folder of this worker: the base's key if the folder
   * is in the cache, otherwise the path.
   */
  readonly nameOf: (folder: string) => string;
  close(): Promise<void>;
}

/** Opens the worker's cache of bases. It writes nothing before the first fetch. */
export async function openLocalBases({ db, config, artifacts, loaded, logger }: OpenOptions): Promise<OpenedBases> {
  const { baseCacheBytes: maxBytes } = config;
  // Without a home directory there is no default cache folder, so the cache lies in the data folder.
  const folder = config.baseCacheDir ?? path.join(config.dataDir, 'bases');
  const cache: BaseFileCache = new BaseFileCache({
    folder,
    maxBytes,
    loaded: () => loaded().flatMap((place) => cache.keyOf(place) ?? []),
    logger,
  });
  const bases = new FetchedBases({
    db,
    cache,
    sources: withUploads(createSources(config), createUploads({ db, artifacts })),
    box: createSecretBox(await knownSecretKeys(config)),
    logger,
    streams: config.baseFetchStreams,
  });
  return { bases, nameOf: (place) => cache.keyOf(place) ?? place, close: () => bases.close() };
}
