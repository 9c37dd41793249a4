/** Where the files of a base model version are, as a request names it. */
export type BasePlace = { readonly path: string } | { readonly source: string };

const REMOTE = /^(hf|s3):\/\//;

/** Whether a text names a hub or a bucket, which the service asks, and not a folder. */
export function isRemote(text: string): boolean {
  return REMOTE.test(text);
}

/** What `--path` says: a folder, `hf://org/name@revision` or `s3://bucket/prefix`. The service checks it. */
export function toBasePlace(text: string): BasePlace {
  return isRemote(text) ? { source: text } : { path: text };
}
