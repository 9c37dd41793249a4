import { ADAPTER_SOURCE_EXPECTED, toPlace, type GivenSource } from '../../../base-sources/index.ts';
import { unprocessable } from '../../../lib/errors.ts';
import type { Upload } from '../../../lib/upload.ts';
import type { RemoteAdapter } from './adapter-sources.ts';

/** An adapter as a request gives it: the path of a folder, an uploaded archive, or a source elsewhere. */
export type GivenAdapter =
  { readonly path: string } | { readonly archive: Upload } | { readonly remote: RemoteAdapter };

/** @throws AppError 422 `invalid_source` */
export function toGivenAdapter(
  { path, source }: { readonly path?: string | undefined; readonly source?: GivenSource | undefined },
  gone: AbortSignal,
): GivenAdapter {
  if ((path === undefined) === (source === undefined)) {
    const found = path === undefined ? 'neither is given' : 'both are given';
    throw unprocessable('invalid_source', `the files are named by \`path\` or by \`source\`: ${found}`);
  }
  const place = toPlace(source ?? { kind: 'folder', path: path! });
  // Uploads hold base models.
  if (place === null || place.remote?.kind === 'upload') {
    throw unprocessable(
      'invalid_source',
      `source ${String(source)} is not usable, expected ${ADAPTER_SOURCE_EXPECTED}`,
    );
  }
  if (place.folder !== null) return { path: place.folder };
  return { remote: { source: place.remote, token: place.token, gone } };
}
