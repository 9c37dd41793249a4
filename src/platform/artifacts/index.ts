export type { ArtifactStore, StoredArtifact } from './artifact-store.ts';
export { createFilesystemStore } from './filesystem-store.ts';
export { readPlainFile, syncFolder, writeHashed } from './durable-files.ts';
export { readTar, type TarEntry } from './tar/read-tar.ts';
export {
  discardUnreferenced,
  explainMissing,
  locateArtifact,
  locateVerified,
  lockArtifact,
  namedAmong,
  registerArtifact,
  registeredBytes,
} from './artifact.repository.ts';
export type { StoredFile } from './stored-files.ts';
export type { ByteRange, TarArchive } from './tar/tar-archive.ts';
export { writeTar, type TarFile } from './tar/write-tar.ts';
export { withRegisteredArtifact } from './register.ts';
export { folderDigest } from './manifest.ts';
export { openArtifactStore } from './opening/open-store.ts';
