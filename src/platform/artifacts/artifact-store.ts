import type { Readable } from 'node:stream';
import type { StoreOwnership } from './ownership/store-ownership.ts';
import type { ListedFor, StoredFile } from './stored-files.ts';
import type { TarArchive } from './tar/tar-archive.ts';

/** Kind of an artifact. It is stored in the artifact's row and is no part of its digest. */
export type ArtifactKind = 'dataset' | 'adapter' | 'evolution' | 'base_part';

export interface StoredArtifact {
  /** `sha256:<64 hex digits>` of a file's bytes or of a folder's manifest (see manifest.ts). */
  readonly digest: string;
  readonly kind: ArtifactKind;
  /** Size of the file, or of all files of the folder together, in bytes. */
  readonly bytes: number;
}

/**
 * Content-addressed storage of files and folders. Stored content never changes, equal content is stored once, and
 * content is durable when the promise of a put resolves. The database row with its digest is written afterwards, by
 * `registerArtifact`.
 */
export interface ArtifactStore {
  /**
   * Whether the store belongs to the database in use. If not, removals are refused, and puts too if another database
   * owns the store, with `storage_away`.
   */
  readonly ownership: StoreOwnership;
  /** Stores the bytes of a stream, or of the file at a path. If reading them fails, nothing is stored. */
  putFile(source: AsyncIterable<Uint8Array> | string, kind: ArtifactKind): Promise<StoredArtifact>;
  /** Stores a copy of a folder. The folder may contain only plain files and folders: a link or a device is refused. */
  putFolder(folder: string, kind: ArtifactKind): Promise<StoredArtifact>;
  has(digest: string): Promise<boolean>;
  /**
   * Size of the stored content, without reading it; null if nothing is stored. Missing files of a folder do not count.
   */
  bytesOf(digest: string): Promise<number | null>;
  /**
   * Absolute path of the file or folder on this machine, for reading only. If the store is elsewhere, this is a copy:
   * within {@link holding} the copy stays until the work has ended, and otherwise until its space is needed for others.
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
   * Packs a folder as a tar archive, below `prefix` if given. The archive always has the same bytes.
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
   * Moves the content out of use without deleting it.
   * @returns the new place, for the operator
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
