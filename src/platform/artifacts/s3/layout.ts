import { isDigest, placeOf } from '../manifest.ts';

// Keys within a store. Each artifact has one object below `sha256/`: the bytes of a file, or the manifest of a folder,
// whose SHA-256 is the folder's digest. The files of a folder are below `folders/`, separately for each put,
// that is, each time the folder is stored; the metadata of the manifest names the put whose files count. Besides these
// objects, `sha256/` only has empty objects that record when an artifact was last stored again.

/** Key prefix of the objects of all artifacts. */
export const ARTIFACTS = 'sha256/';
/** Key prefix of the files of all folders. */
export const FOLDERS = 'folders/';

/** Key prefix of the objects that were moved to the quarantine; `quarantinePlace` makes the rest of the key. */
export const QUARANTINE = `quarantine/${ARTIFACTS}`;

export const artifactKey = placeOf;

/**
 * Makes the key of an empty object that notes when existing content was stored again. In a listing, this object
 * directly follows the artifact's own object.
 */
export const putAgainKey = (digest: string): string => `${placeOf(digest)}.put`;

/** Makes the key prefix of a folder's files that one put of the folder has stored. */
export const filesKey = (digest: string, put: string): string => `${folderKey(digest)}${put}/`;

/** Makes the key prefix of all files of a folder, whichever put has stored them. */
export const folderKey = (digest: string): string => `${FOLDERS}${placeOf(digest).slice(ARTIFACTS.length)}/`;

/** Extracts the digest from the key of an artifact or of its {@link putAgainKey}; null for any other key. */
export function digestOf(key: string): string | null {
  const [, start, rest] = /^sha256\/(\w\w)\/(\w{62})(?:\.put)?$/.exec(key) ?? [];
  const digest = `sha256:${start ?? ''}${rest ?? ''}`;
  return isDigest(digest) ? digest : null;
}

/** Extracts the digest of the folder, and the put that stored the file, from a file's key; null for any other key. */
export function putOf(key: string): { readonly digest: string; readonly put: string } | null {
  const [, start, rest, put] = /^folders\/(\w\w)\/(\w{62})\/([\w-]+)\//.exec(key) ?? [];
  const digest = `sha256:${start ?? ''}${rest ?? ''}`;
  return put !== undefined && isDigest(digest) ? { digest, put } : null;
}
