import { isDigest, placeOf } from '../manifest.ts';

// Keys within a store. Of each artifact there is one object below `sha256/`: the bytes of a file, or the manifest of a
// folder, whose SHA-256 is the folder's digest. The files of a folder are below `folders/`, apart for each put, and the
// manifest's metadata says which of them count. Nothing else is in a bucket's `sha256/` but what says when an artifact
// was last put.

/** The folder that holds the objects of all artifacts. */
export const ARTIFACTS = 'sha256/';
/** The folder that holds the files of all folders. */
export const FOLDERS = 'folders/';

/** Key prefix for quarantined objects; see `quarantinePlace`. */
export const QUARANTINE = `quarantine/${ARTIFACTS}`;

export const artifactKey = placeOf;

/**
 * An empty object that is written when the content is put again. It comes right after the artifact's own in a listing.
 */
export const putAgainKey = (digest: string): string => `${placeOf(digest)}.put`;

/** Key prefix of the files of a folder that one put has stored. */
export const filesKey = (digest: string, put: string): string => `${folderKey(digest)}${put}/`;

/** Key prefix of the files of all puts of a folder. */
export const folderKey = (digest: string): string => `${FOLDERS}${placeOf(digest).slice(ARTIFACTS.length)}/`;

/** The digest in the key of an artifact, or of what says that it was put again; null for any other key. */
export function digestOf(key: string): string | null {
  const [, start, rest] = /^sha256\/(\w\w)\/(\w{62})(?:\.put)?$/.exec(key) ?? [];
  const digest = `sha256:${start ?? ''}${rest ?? ''}`;
  return isDigest(digest) ? digest : null;
}

/** Digest and put that a file of a folder belongs to; null if the key is of no such file. */
export function putOf(key: string): { readonly digest: string; readonly put: string } | null {
  const [, start, rest, put] = /^folders\/(\w\w)\/(\w{62})\/([\w-]+)\//.exec(key) ?? [];
  const digest = `sha256:${start ?? ''}${rest ?? ''}`;
  return put !== undefined && isDigest(digest) ? { digest, put } : null;
}
