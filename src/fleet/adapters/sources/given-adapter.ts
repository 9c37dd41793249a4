import {
  ADAPTER_SOURCE_EXPECTED,
  requirePlace,
  unusableSource,
  type GivenFiles,
} from '../../../platform/base-sources/index.ts';
import type { Upload } from '../../../platform/contract/upload.ts';
import type { RemoteAdapter } from './adapter-sources.ts';

/** Place of an adapter's files as a request gives it: the path of a folder, an uploaded archive, or a hub or bucket. */
export type GivenAdapter =
  | { readonly path: string }
  | { readonly archive: Upload }
  | { readonly remote: RemoteAdapter };

/** Reads from a request in which folder, hub or bucket an adapter's files lie. @throws AppError 422 `invalid_source` */
export function toGivenAdapter(files: GivenFiles, gone: AbortSignal): GivenAdapter {
  const { folder, remote: source, token } = requirePlace(files, ADAPTER_SOURCE_EXPECTED);
  if (folder !== null) return { path: folder };
  // An upload as a source holds a base model, not an adapter.
  if (source.kind === 'upload') throw unusableSource(files.source!, ADAPTER_SOURCE_EXPECTED);
  return { remote: { source, token, gone } };
}
