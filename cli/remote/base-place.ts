/** Where the files of a base model version are, as a request names it. */
export type BasePlace = { readonly path: string } | { readonly source: string };

const REMOTE = /^(hf|s3|upload):\/\//;

/** What `--path` says: a folder, `hf://org/name@revision`, `s3://bucket/prefix` or `upload://bmu_…`. The service checks it. */
export function toBasePlace(text: string): BasePlace {
  return REMOTE.test(text) ? { source: text } : { path: text };
}
