import { access, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Config } from '../../config/config.ts';
import { SetupError } from '../../config/setup-error.ts';
import { SETTINGS } from '../../config/settings.ts';
import type { Database } from '../../database/database.ts';
import { AppError } from '../../contract/errors.ts';
import type { Logger } from '../../../lib/logger.ts';
import type { ArtifactStore } from '../artifact-store.ts';
import { sampleDigests } from '../artifact.repository.ts';
import { artifactPath, createFilesystemStore } from '../filesystem-store.ts';
import { ownedStore } from '../ownership/owned-store.ts';
import { markInBucket, markInFolder, type MarkPlace } from '../ownership/owner-mark.ts';
import { createOwnership } from '../ownership/ownership.ts';
import type { S3StoreConfig } from './open-s3-store.ts';

/**
 * Name of the file or object that marks a store. A folder without it may be the place where a file system is not
 * mounted.
 */
const MARKER = 'READAPT_STORE';
const MARKER_TEXT =
  'The artifact store of Readapt. A process that finds neither this file nor an artifact does not start.\n';

export type StoreConfig = Pick<Config, 'artifacts'> & S3StoreConfig;

export interface OpenedBy {
  db: Database;
  config: StoreConfig;
  /** Whether this process may create a store where there is none yet, as an API process may. */
  begins: boolean;
  /** Whether this process may mark a store and record the database as its owner (default true). */
  marks?: boolean;
  /** Log for a warning if the store does not belong to the database. */
  logger?: Pick<Logger, 'warn'>;
}

/** Folder or bucket in which the store is to be opened or created. */
interface Place {
  /** Path of the folder, or URL of the bucket. */
  readonly name: string;
  /** Environment variable that configures the place. */
  readonly setting: string;
  /** Access to the mark that names the database to which the store belongs. */
  readonly mark: MarkPlace;
  isMarked(): Promise<boolean>;
  begin(): Promise<void>;
  has(digest: string): Promise<boolean>;
  open(): Promise<ArtifactStore>;
  /**
   * Waits for `work`, an access to the store without which the process cannot start. An error of `work` names the place
   * or its setting.
   */
  usable<T>(work: Promise<T>): Promise<T>;
  /** Makes the error of a store that has none of the artifacts that the database names. */
  away(): SetupError;
}

/**
 * Opens the artifact store of the configuration. If the database names artifacts, and the configured folder or bucket
 * has neither the marker of a store nor any of the artifacts of a sample, nothing is created there: its file system is
 * not mounted, or the wrong folder or bucket is configured.
 *
 * @throws SetupError `artifact_store_away` that names the setting
 */
export async function openArtifactStore(options: OpenedBy): Promise<ArtifactStore> {
  const { db, config, begins, marks = true, logger } = options;
  const place = config.artifacts === null ? folderIn(config.dataDir) : await bucketAt(config.artifacts, config);
  const isMarked = await place.isMarked();
  const named = isMarked ? [] : await sampleDigests(db);
  if (named.length > 0 && !(await hasAny(place, named))) throw place.away();
  const store = await place.open();
  const { mark, isMarked: isBegun, setting } = place;
  const ownership = createOwnership({ db, store, mark, isBegun, begins, marks, setting });
  // Check this before writing the marker, because with the marker an empty store can be taken over.
  const problem = await place.usable(ownership.problem());
  if (problem !== null) {
    logger?.warn({ store: place.name, reason: problem.message }, 'nothing is removed from the artifact store');
  }
  const isForeign = problem?.isForeign ?? false;
  // A worker that starts first, while the database names no artifacts, may have been given the wrong place.
  if (marks && !isMarked && !isForeign && (begins || named.length > 0)) await place.begin();
  return ownedStore(store, ownership);
}

async function hasAny(place: Place, digests: readonly string[]): Promise<boolean> {
  const found = await Promise.all(digests.map((digest) => place.has(digest)));
  return found.includes(true);
}

function folderIn(dataDir: string): Place {
  const root = path.join(dataDir, 'artifacts');
  const marker = path.join(root, MARKER);
  return {
    name: root,
    setting: 'READAPT_DATA_DIR',
    mark: markInFolder(root),
    isMarked: () => exists(marker),
    // If the marker cannot be written, for example on a full disk, the next start looks for artifacts again.
    begin: () => writeFile(marker, MARKER_TEXT, { flag: 'wx' }).catch(() => undefined),
    has: (digest) => exists(artifactPath(root, digest)),
    open: () => createFilesystemStore(root),
    // Errors of the file system already contain the path.
    usable: (work) => work,
    away: () =>
      storeAway(
        `READAPT_DATA_DIR is ${dataDir}, but ${root} has none of the artifacts that the database names: mount its ` +
          'file system, or set READAPT_DATA_DIR (--data-dir) to the folder that has them; if they are lost, create ' +
          `the file ${marker} to go on without`,
      ),
  };
}

async function bucketAt(url: string, config: StoreConfig): Promise<Place> {
  // The SDK is loaded only if needed: it takes a fifth of a second and 15 MB.
  const { openS3Store } = await import('./open-s3-store.ts');
  const { store, bucket } = await openS3Store(url, config);
  const usable = <T>(work: Promise<T>): Promise<T> => work.catch((error: unknown) => Promise.reject(named(error, url)));
  return {
    name: url,
    setting: SETTINGS.artifacts.variable,
    mark: markInBucket(bucket),
    isMarked: async () => (await usable(bucket.head(MARKER))) !== undefined,
    begin: async () => void (await usable(bucket.put(MARKER, Buffer.from(MARKER_TEXT)))),
    has: (digest) => usable(store.has(digest)),
    open: () => Promise.resolve(store),
    usable,
    away: () =>
      storeAway(
        `${SETTINGS.artifacts.variable} is ${url}, which has none of the artifacts that the database names: set it ` +
          `to the bucket and the prefix that have them; if they are lost, put an object ${MARKER} there to go on ` +
          'without',
      ),
  };
}

/** Converts an error of a bucket that cannot be used to one that names the setting. */
function named(error: unknown, url: string): unknown {
  if (!(error instanceof AppError) || !(error.cause instanceof Error)) return error;
  const { name, message } = error.cause;
  return new SetupError(
    'artifact_store_away',
    `${SETTINGS.artifacts.variable} is ${url}, which cannot be used: ${error.message} (${name}: ${message}); check ` +
      'the bucket, READAPT_S3_ENDPOINT, and the region and credentials that the AWS SDK finds',
    { badInput: false, cause: error },
  );
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch (error) {
    // A folder that cannot be read is a different problem, which the caller reports.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

const storeAway = (message: string): SetupError => new SetupError('artifact_store_away', message, { badInput: true });
