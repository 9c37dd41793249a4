import type { Readable } from 'node:stream';
import type { StoreOwnership } from './ownership/store-ownership.ts';
import type { ListedFor, StoredFile } from './stored-files.ts';
import type { TarArchive } from './tar/tar-archive.ts';

/** The kind is recorded in the artifact's row and does not enter its digest. */
export type ArtifactKind = 'dataset' | 'adapter' | 'evolution' | 'base_part';

export interface StoredArtifact {
  /** `sha256:<64 hex digits>` of a file's bytes or of a folder's manifest (see manifest.ts). */
  readonly digest: string;
  readonly kind: ArtifactKind;
  /** Size of the file, or of all files of the folder together. */
  readonly bytes: number;
}

/**
 * Content-addressed storage of files and folders. Stored content never changes, equal content is stored once, and it is
 * durable when the promise of a put resolves. The row that names its digest is written afterwards, by
 * `registerArtifact`.
 */
export interface ArtifactStore {
  /**
   * Whether it belongs to the database that is used with it. If it does not, removals and perhaps puts are refused:
   * `storage_away`.
   */
  readonly ownership: StoreOwnership;
  /** Stores the bytes of a stream, or of the file at a path. If the source throws, nothing is stored. */
  putFile(source: AsyncIterable<Uint8Array> | string, kind: ArtifactKind): Promise<StoredArtifact>;
  /** Stores a copy of a folder. It may hold plain files and folders only: a link or a device is refused. */
  putFolder(folder: string, kind: ArtifactKind): Promise<StoredArtifact>;
  has(digest: string): Promise<boolean>;
  /**
   * Size of what is stored, which is not read; null if nothing is. Of a folder, files that are missing do not count.
   */
  bytesOf(digest: string): Promise<number | null>;
  /**
   * The absolute path of the file or folder on this machine, for reading only. Where the store is elsewhere, it is a
   * copy: within {@link holding} it stays until the work has ended, else until the room for copies is needed.
   *
   * @param options with `verify`, the content is read and compared with its digest
   * @throws AppError `artifact_missing` or `artifact_corrupt`
   */
  localPath(digest: string, options?: { readonly verify?: boolean }): Promise<string>;
  /** Runs `work` with a store whose local paths stay until it has ended. */
  holding<T>(work: (held: ArtifactStore) => Promise<T>): Promise<T>;
  /** Reads the bytes of a file. @throws AppError `artifact_missing` */
  createReadStream(digest: string): Promise<Readable>;
  /**
   * A folder as a tar archive, below `prefix` if given; always the same bytes.
   * @throws AppError `artifact_missing`
   */
  tarArchive(digest: string, options?: { prefix?: string }): Promise<TarArchive>;
  /**
   * The files of a folder, each to be read alone.
   * @throws AppError `artifact_missing`; `artifact_corrupt` if they are found to be others when they are listed; the
   * reason of the signal
   */
  files(digest: string, to?: ListedFor): Promise<readonly StoredFile[]>;
  /** Reads the content and checks its digest. @throws AppError `artifact_missing` or `artifact_corrupt` */
  verify(digest: string): Promise<void>;
  /**
   * Lists what is stored, in the order of the digests, with the time of the last put. What is put or removed meanwhile
   * may be left out.
   */
  list(): AsyncIterable<{ readonly digest: string; readonly storedAt: Date }>;
  /** Removes the content. Call it only if no row names the digest: see `discardUnreferenced`. */
  remove(digest: string): Promise<void>;
  /**
   * Takes the content out of the store, without deleting it.
   * @returns where it is now, for the operator
   */
  quarantine(digest: string): Promise<string>;
  /**
   * Removes what puts have left that ended before they were complete, if it is older than this.
   * @returns how much
   */
  removeLeftovers(olderThanMs: number): Promise<number>;
  /** Writes a little and removes it. @throws AppError if the store is full or read-only */
  checkWritable(): Promise<void>;
  /**
   * Runs `work` with an empty folder of its own on this machine, which is removed afterwards, even if this process
   * crashes.
   */
  withScratch<T>(work: (folder: string) => Promise<T>): Promise<T>;
}
