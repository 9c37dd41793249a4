import type { Stats } from 'node:fs';
import { lstat, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { extract, type ReadEntry } from 'tar';
import type { ReadaptClient } from '../create-client.ts';
import { ReadaptError, reasonOf } from '../errors.ts';
import { getAdapterVersion } from '../generated/sdk.gen.ts';
import type { AdapterVersion } from '../generated/types.gen.ts';
import { folderDigest } from './folder-digest.ts';
import { receiveArchive } from './receive-archive.ts';

export interface DownloadAdapterOptions {
  readonly client: ReadaptClient;
  readonly adapterId: string;
  readonly versionId: string;
  /** Folder to make. It must not exist, but its parent must. */
  readonly folder: string;
  readonly signal?: AbortSignal;
}

/** Download with another digest than the version has. Nothing is left of it on disk. */
export class DigestMismatchError extends ReadaptError {
  override readonly name = 'DigestMismatchError';
  readonly expected: string;
  readonly found: string;

  constructor(version: AdapterVersion, found: string) {
    super(`the download of ${version.id} has the digest ${found}, expected ${version.digest}`);
    this.expected = version.digest;
    this.found = found;
  }
}

/** Download that is no complete archive, or whose files cannot be written. Nothing is left of it on disk. */
export class DamagedArchiveError extends ReadaptError {
  override readonly name = 'DamagedArchiveError';

  constructor(version: AdapterVersion, cause: unknown) {
    super(`the download of ${version.id} cannot be unpacked (${reasonOf(cause)}) and is removed: download it again`, {
      cause,
    });
  }
}

/**
 * Downloads an adapter version as a PEFT folder. The archive arrives in a hidden file beside `folder`
 * (`.FOLDER-adv_….part`). The folder appears, complete, once the digest of its files is that of the version. An
 * interrupted download leaves the hidden file, from which the next one to the same folder resumes.
 * @returns the version
 * @throws ReadaptError if the folder exists; DownloadInterruptedError, DamagedArchiveError, DigestMismatchError;
 * ProblemError; the reason of the signal
 */
export async function downloadAdapter(options: DownloadAdapterOptions): Promise<AdapterVersion> {
  const { client, adapterId, versionId, signal } = options;
  const folder = path.resolve(options.folder);
  if (await exists(folder)) throw new ReadaptError(`${folder} exists already: name a new folder`);
  const version = await getAdapterVersion({
    client,
    path: { id: adapterId, version_id: versionId },
    signal: signal ?? null,
  });
  const file = path.join(path.dirname(folder), `.${path.basename(folder)}-${version.id}.part`);
  await receiveArchive({ client, version, file, signal });
  try {
    await unpack(file, folder, version);
  } finally {
    await rm(file, { force: true });
  }
  return version;
}

/**
 * Unpacks the archive, checks the digest, and moves the files to `folder`.
 * @throws DamagedArchiveError; DigestMismatchError
 */
async function unpack(file: string, folder: string, version: AdapterVersion): Promise<void> {
  const temporary = await mkdtemp(path.join(path.dirname(folder), `.${path.basename(folder)}-`));
  const files = path.join(temporary, 'files');
  try {
    await mkdir(files);
    // The archive has its files in a folder named after the adapter.
    await extract({ file, cwd: files, strip: 1, strict: true, preserveOwner: false, filter: isFile }).catch(
      (cause: unknown) => {
        throw new DamagedArchiveError(version, cause);
      },
    );
    const found = await folderDigest(files);
    if (found !== version.digest) throw new DigestMismatchError(version, found);
    await rename(files, folder);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

function isFile(_path: string, entry: Stats | ReadEntry): boolean {
  return 'type' in entry && (entry.type === 'File' || entry.type === 'OldFile');
}

async function exists(file: string): Promise<boolean> {
  return lstat(file).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}
