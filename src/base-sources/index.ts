export { bytesThere, download, type DownloadOptions } from './download.ts';
export { bytesOf, keyOf, requireUsable, type ListingRules } from './listing.ts';
export { SourceError, type SourceErrorCode } from './source-error.ts';
export {
  BUCKET_PATTERN,
  DEFAULT_REVISION,
  HUB_REPO_PATTERN,
  HUB_REVISION_PATTERN,
  parseRemoteSource,
  PREFIX_PATTERN,
  SOURCE_EXPECTED,
  sourceName,
  sourceText,
  toPlace,
  type GivenSource,
  type PinnedFiles,
  type PinnedSource,
  type RemoteSource,
  type SourceFile,
} from './source.ts';
export { createSources, readWhole, type Sources } from './sources.ts';
