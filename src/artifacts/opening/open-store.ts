import { access, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { SetupError } from '../../config/setup-error.ts';
import type { Database } from '../../lib/database.ts';
import type { ArtifactStore } from '../artifact-store.ts';
import { sampleDigests } from '../artifact.repository.ts';
import { artifactPath, createFilesystemStore } from '../filesystem-store.ts';

/** A file that says that this folder is the store, and not the place where its file system will be mounted. */
const MARKER = 'READAPT_STORE';

export interface OpenedBy {
  db: Database;
  dataDir: string;
  /** Whether this process may begin a new store, as an API may. */
  begins: boolean;
}

/**
 * Opens the artifact store in the data folder. Nothing is created in its place if the database names artifacts and the folder has
 * neither the marker nor any of them: its file system is not mounted, or it is another folder.
 *
 * @throws SetupError `artifact_store_away` that names the setting
 */
export async function openArtifactStore({ db, dataDir, begins }: OpenedBy): Promise<ArtifactStore> {
  const root = path.join(dataDir, 'artifacts');
  const marker = path.join(root, MARKER);
  const isMarked = await exists(marker);
  const named = isMarked ? [] : await sampleDigests(db);
  if (named.length > 0 && !(await hasAny(root, named))) throw storeAway(dataDir, root, marker);
  const store = await createFilesystemStore(root);
  // A worker that comes first, while the database names nothing, may be in the wrong place.
  if (!isMarked && (begins || named.length > 0)) await mark(marker);
  return store;
}

async function hasAny(root: string, digests: readonly string[]): Promise<boolean> {
  const found = await Promise.all(digests.map((digest) => exists(artifactPath(root, digest))));
  return found.includes(true);
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

/** Where it cannot be written, for example on a full disk, the next start looks for artifacts again. */
async function mark(marker: string): Promise<void> {
  const text =
    'The artifact store of Readapt. A process that finds neither this file nor an artifact does not start.\n';
  await writeFile(marker, text, { flag: 'wx' }).catch(() => undefined);
}

function storeAway(dataDir: string, root: string, marker: string): SetupError {
  return new SetupError(
    'artifact_store_away',
    `READAPT_DATA_DIR is ${dataDir}, but ${root} has none of the artifacts that the database names: mount its file system, or ` +
      `set READAPT_DATA_DIR (--data-dir) to the folder that has them; if they are lost, create the file ${marker} to go on without`,
    { badInput: true },
  );
}
