import type { S3Settings } from '../artifacts/s3/s3-client.ts';
import { createHub, type HubSettings } from './hub.ts';
import { BASE_LISTING, type ListingRules } from './listing.ts';
import { createS3Models } from './s3.ts';
import { SourceError } from './source-error.ts';
import type { Uploads } from './uploads/uploads.ts';
import type { PinnedFiles, PinnedSource, RemoteSource, SourceFile } from './source.ts';

/** Options of a request to a source. */
export interface SourceRequest {
  /** Token of this source, which takes precedence over the token of the process; null if there is none. */
  readonly token: string | null;
  readonly signal: AbortSignal;
}

/** Options for listing the files of a source. */
interface PinRequest extends SourceRequest {
  /**
   * Called with the repository name in the hub's answer, before anything is listed, because hubs redirect from the old
   * name of a renamed repository to the new one. An AppError from this callback is thrown unchanged.
   */
  readonly checkRepo?: (repo: string) => void;
}

/** Reader for the files of base models or adapters at their sources. */
export interface Sources {
  /** Lists the files to fetch, in their present state. @throws SourceError */
  pin(source: RemoteSource, request: PinRequest): Promise<PinnedFiles>;
  /**
   * Reads the bytes of a file in its pinned state, from an offset on.
   * @throws SourceError, also while bytes are read
   */
  read(source: PinnedSource, file: SourceFile, request: SourceRequest & { from: number }): AsyncIterable<Uint8Array>;
}

/**
 * Creates a reader for hubs and buckets. Uploads are in the artifact store: see {@link withUploads}.
 * @param rules which files to take from a source. Default: those of a base model
 */
export function createSources(settings: HubSettings & S3Settings, rules: ListingRules = BASE_LISTING): Sources {
  const hub = createHub(settings, rules);
  const buckets = createS3Models(settings, rules);
  return {
    pin: (source, request) => {
      if (source.kind === 'upload') throw new Error('uploads are read with the artifact store');
      return source.kind === 'hub' ? hub.pin(source, request) : buckets.pin(source, request);
    },
    read: (source, file, request) => {
      if (source.kind === 'upload') throw new Error('uploads are read with the artifact store');
      return source.kind === 'hub' ? hub.read(source, file, request) : buckets.read(source, file, request);
    },
  };
}

/** Extends the sources by uploaded files, which clients send to the service. */
export function withUploads(sources: Sources, uploads: Uploads): Sources {
  return {
    pin: (source, request) => (source.kind === 'upload' ? uploads.pin(source) : sources.pin(source, request)),
    read: (source, file, request) =>
      source.kind === 'upload' ? uploads.read(source, file, request) : sources.read(source, file, request),
  };
}

/** Reads a small file as a whole, for example config.json. @throws SourceError */
export async function readWhole(
  sources: Sources,
  source: PinnedSource,
  file: SourceFile,
  request: SourceRequest,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of sources.read(source, file, { ...request, from: 0 })) {
    bytes += chunk.length;
    if (bytes > file.size) break;
    chunks.push(chunk);
  }
  if (bytes === file.size) return Buffer.concat(chunks);
  const message = `${file.name} has not the ${file.size} bytes that its source says`;
  throw new SourceError('source_corrupt', message);
}
