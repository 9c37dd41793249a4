export { DamagedArchiveError, DigestMismatchError, downloadAdapter, type DownloadAdapterOptions } from './download.ts';
export { DownloadInterruptedError } from './receive-archive.ts';
export { folderDigest } from './folder-digest.ts';
export { uploadAdapter, uploadDataset, type UploadAdapterOptions, type UploadDatasetOptions } from './upload.ts';
