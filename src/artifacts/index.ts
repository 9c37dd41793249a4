export type { ArtifactKind, ArtifactStore, StoredArtifact } from './artifact-store.ts';
export { createFilesystemStore } from './filesystem-store.ts';
export { discardUnreferenced, registerArtifact } from './artifact.repository.ts';
export { withRegisteredArtifact } from './register.ts';
