export { bytesThere, download, type DownloadOptions } from './download.ts';
export {
  bytesOf,
  checkListing,
  isTaken,
  pinnedFilesKey,
  MAX_FILES,
  PICKLE,
  requireUsable,
  SENT_NAME,
  UNUSABLE,
  type ListingRules,
} from './listing.ts';
export { ADAPTER_SOURCE_EXPECTED, requirePlace, SOURCE_EXPECTED, unusableSource, type GivenFiles } from './place.ts';
export { SourceError, type SourceErrorCode } from './source-error.ts';
export {
  BUCKET_PATTERN,
  DEFAULT_REVISION,
  fileOfContent,
  HUB_REPO_PATTERN,
  HUB_REVISION_PATTERN,
  parseRemoteSource,
  PREFIX_LENGTH,
  PREFIX_PATTERN,
  sourceName,
  sourceText,
  type ExternalSource,
  type PinnedFiles,
  type PinnedSource,
  type RemoteSource,
  type SourceFile,
  type UploadSource,
} from './source.ts';
export { createSources, readWhole, withUploads, type Sources } from './sources.ts';
export { createUploads, PART_ADVICE } from './uploads/uploads.ts';
export { partDigests } from './uploads/uploads.repository.ts';
export { bytesOfPart, partCount, PartGoneError, readParts, type UploadedFile } from './uploads/parts.ts';
