import type { Readable } from 'node:stream';

/** What an artifact is; recorded in its row, not part of its digest. */
export type ArtifactKind = 'dataset' | 'adapter' | 'evolution';

export interface StoredArtifact {
  /** `sha256:<64 hex>`: of a file's bytes, or of a folder's manifest (see manifest.ts). */
  readonly digest: string;
  readonly kind: ArtifactKind;
  /** Bytes of the content (of all files of a folder). */
  readonly bytes: number;
}

/**
 * Content-addressed storage of files and folders. What has been put never changes, the same content is stored once,
 * and a put has reached the disk when its promise resolves. Rows that name a digest are written afterwards, by
 * `registerArtifact`.
 */
export interface ArtifactStore {
  /** Stores the bytes of a stream, or of the file at a path. A source that throws leaves nothing behind. */
  putFile(source: AsyncIterable<Uint8Array> | string, kind: ArtifactKind): Promise<StoredArtifact>;
  /** Stores a copy of a folder of plain files and folders; a link or device in it is refused. */
  putFolder(folder: string, kind: ArtifactKind): Promise<StoredArtifact>;
  has(digest: string): Promise<boolean>;
  /** Absolute path of the file or folder, to be read and never written to. @throws AppError `artifact_missing`. */
  localPath(digest: string): Promise<string>;
  /** The bytes of a file. @throws AppError `artifact_missing`. */
  createReadStream(digest: string): Promise<Readable>;
  /** A folder as a tar archive, the same bytes each time, below `prefix` if given. @throws `artifact_missing`. */
  tarStream(digest: string, options?: { prefix?: string }): Promise<Readable>;
  /** Reads and hashes the content again. @throws AppError `artifact_missing` or `artifact_corrupt`. */
  verify(digest: string): Promise<void>;
  /** Removes the content. Only for bytes that no row names: see `discardUnreferenced`. */
  remove(digest: string): Promise<void>;
  /** Runs `work` with an empty folder of its own and removes the folder afterwards, also after a crash. */
  withScratch<T>(work: (folder: string) => Promise<T>): Promise<T>;
}
