import {
  ADAPTER_SOURCE_EXPECTED,
  requirePlace,
  unusableSource,
  type GivenFiles,
} from '../../../platform/base-sources/index.ts';
import type { Upload } from '../../../platform/contract/upload.ts';
import type { RemoteAdapter } from './adapter-sources.ts';

/** Adapter files as a request gives them: the path of a folder, an uploaded archive, or an external source. */
export type GivenAdapter =
  | { readonly path: string }
  | { readonly archive: Upload }
  | { readonly remote: RemoteAdapter };

/** @throws AppError 422 `invalid_source` */
export function toGivenAdapter(files: GivenFiles, gone: AbortSignal): GivenAdapter {
  const { folder, remote: source, token } = requirePlace(files, ADAPTER_SOURCE_EXPECTED);
  if (folder !== null) return { path: folder };
  // An upload as a source holds a base model, not an adapter.
  if (source.kind === 'upload') throw unusableSource(files.source!, ADAPTER_SOURCE_EXPECTED);
  return { remote: { source, token, gone } };
}
