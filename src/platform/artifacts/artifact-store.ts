import type { Readable } from 'node:stream';
import type { StoreOwnership } from './ownership/store-ownership.ts';
import type { ListedFor, StoredFile } from './stored-files.ts';
import type { TarArchive } from './tar/tar-archive.ts';

/** Kind of an artifact. It is stored in the artifact's row and is no part of its digest. */
export type ArtifactKind = 'dataset' | 'adapter' | 'evolution' | 'base_part';

export interface StoredArtifact {
  /**
   * Digest of the artifact: `sha256:` and the 64 hexadecimal digits of the SHA-256 of a file's bytes or of a folder's
   * manifest (see manifest.ts).
   */
  readonly digest: string;
  readonly kind: ArtifactKind;
  /** Size of the file, or of all files of the folder together, in bytes. */
  readonly bytes: number;
}

/**
 * Content-addressed storage of files and folders. Stored content never changes, and equal content is stored only once.
 * When the promise of a put resolves, the content is durable. Afterwards `registerArtifact` writes the database row
 * with its digest.
 */
export interface ArtifactStore {
  /**
   * Check of whether the store belongs to the database in use. If it does not, removals fail with `storage_away`. If
   * another database owns the store, puts fail with `storage_away`, too.
   */
  readonly ownership: StoreOwnership;
  /** Stores the bytes of a stream, or of the file at a path. If reading them fails, nothing is stored. */
  putFile(source: AsyncIterable<Uint8Array> | string, kind: ArtifactKind): Promise<StoredArtifact>;
  /** Stores a copy of a folder. The folder may contain only plain files and folders: a link or a device is refused. */
  putFolder(folder: string, kind: ArtifactKind): Promise<StoredArtifact>;
  has(digest: string): Promise<boolean>;
  /**
   * Returns the size of the stored content in bytes, without reading the content; null if the artifact is not stored.
   * Files that are missing from a stored folder are not counted.
   */
  bytesOf(digest: string): Promise<number | null>;
  /**
   * Returns the absolute path of the file or folder on this machine, for reading only. If the store is not on this
   * machine, the path is that of a copy. Within {@link holding}, the copy stays until the work has ended; otherwise it
   * stays until other artifacts need its space.
   *
   * @param options with `verify`, the content is read and compared with its digest
   * @throws AppError `artifact_missing` or `artifact_corrupt`
   */
  localPath(digest: string, options?: { readonly verify?: boolean }): Promise<string>;
  /** Runs `work` with a store whose local paths stay valid until `work` has ended. */
  holding<T>(work: (held: ArtifactStore) => Promise<T>): Promise<T>;
  /** Reads the bytes of a file. @throws AppError `artifact_missing` */
  createReadStream(digest: string): Promise<Readable>;
  /**
   * Packs a folder as a tar archive, in which all files are below the folder `prefix` if one is given. Equal folders
   * with the same prefix give archives with equal bytes.
   * @throws AppError `artifact_missing`
   */
  tarArchive(digest: string, options?: { prefix?: string }): Promise<TarArchive>;
  /**
   * Lists the files of a folder, each of which can be read by itself.
   * @throws AppError `artifact_missing`; `artifact_corrupt` if the files do not match the digest; the signal's reason
   */
  files(digest: string, to?: ListedFor): Promise<readonly StoredFile[]>;
  /** Reads the content and checks its digest. @throws AppError `artifact_missing` or `artifact_corrupt` */
  verify(digest: string): Promise<void>;
  /**
   * Lists the stored artifacts in the order of their digests, with the time of the last put. Artifacts that are stored
   * or removed during the listing may be left out.
   */
  list(): AsyncIterable<{ readonly digest: string; readonly storedAt: Date }>;
  /** Removes the content. Call this only if no row names the digest: see `discardUnreferenced`. */
  remove(digest: string): Promise<void>;
  /**
   * Moves an artifact to the quarantine, which takes it out of use without deleting it.
   * @returns the new place of the artifact, for the operator
   */
  quarantine(digest: string): Promise<string>;
  /**
   * Removes what incomplete puts have left behind, if it is older than `olderThanMs`.
   * @returns the number of removed leftovers
   */
  removeLeftovers(olderThanMs: number): Promise<number>;
  /** Writes a small probe and removes it. @throws AppError if the store is full or read-only */
  checkWritable(): Promise<void>;
  /**
   * Runs `work` with an empty temporary folder on this machine. The folder is removed afterwards, even if this process
   * crashes.
   */
  withScratch<T>(work: (folder: string) => Promise<T>): Promise<T>;
}
