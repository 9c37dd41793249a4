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

/** A file or an object that says that this is the store, and not the place where its file system will be mounted. */
const MARKER = 'READAPT_STORE';
const MARKER_TEXT =
  'The artifact store of Readapt. A process that finds neither this file nor an artifact does not start.\n';

export type StoreConfig = Pick<Config, 'artifacts'> & S3StoreConfig;

export interface OpenedBy {
  db: Database;
  config: StoreConfig;
  /** Whether this process may begin a new store, as an API may. */
  begins: boolean;
  /** Whether it may mark one as the store and as that of its database (default true). */
  marks?: boolean;
  /** Log of the warning that the store does not belong to the database. */
  logger?: Pick<Logger, 'warn'>;
}

/** A place that may be the store. */
interface Place {
  /** Place of the store: a folder or a bucket. */
  readonly name: string;
  /** The variable that says so. */
  readonly setting: string;
  /** Says to which database it belongs. */
  readonly mark: MarkPlace;
  isMarked(): Promise<boolean>;
  begin(): Promise<void>;
  has(digest: string): Promise<boolean>;
  open(): Promise<ArtifactStore>;
  /** Waits for work with it that a start cannot do without. An error names the setting. */
  usable<T>(work: Promise<T>): Promise<T>;
  /** Error for a store that has nothing of what it should have. */
  away(): SetupError;
}

/**
 * Opens the artifact store of the configuration. Nothing is created in its place if the database names artifacts and it
 * has neither the marker nor any of them: its file system is not mounted, or it is another folder or bucket.
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
  // Before the marker, which lets an empty store be taken.
  const problem = await place.usable(ownership.problem());
  if (problem !== null) {
    logger?.warn({ store: place.name, reason: problem.message }, 'nothing is removed from the artifact store');
  }
  const isForeign = problem?.isForeign ?? false;
  // A worker that comes first, while the database names nothing, may be in the wrong place.
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
    // Where it cannot be written, for example on a full disk, the next start looks for artifacts again.
    begin: () => writeFile(marker, MARKER_TEXT, { flag: 'wx' }).catch(() => undefined),
    has: (digest) => exists(artifactPath(root, digest)),
    open: () => createFilesystemStore(root),
    // The system's errors have the path.
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
  // The SDK is loaded only where it is used: it takes a fifth of a second and 15 MB.
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

/** Says which setting to look at where the bucket cannot be used. */
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
    // A folder that cannot be read is another problem, which is reported as such.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

const storeAway = (message: string): SetupError => new SetupError('artifact_store_away', message, { badInput: true });
