/**
 * Location of a base model version's files in the form of an API request: the path of a folder, or the address of a
 * source.
 */
export type BasePlace = { readonly path: string } | { readonly source: string };

const REMOTE = /^(hf|s3|upload):\/\//;

/** Whether a text names a source that the service reads, and not a folder. */
export function isRemote(text: string): boolean {
  return REMOTE.test(text);
}

/**
 * Parses `--path`: a folder, `hf://org/name@revision`, `s3://bucket/prefix` or `upload://bmu_…`. The service checks it.
 */
export function toBasePlace(text: string): BasePlace {
  return isRemote(text) ? { source: text } : { path: text };
}
