export { DamagedArchiveError, DigestMismatchError, downloadAdapter, type DownloadAdapterOptions } from './download.ts';
export { DownloadInterruptedError } from './receive-archive.ts';
export { folderDigest } from './folder-digest.ts';
export {
  UploadFailedError,
  uploadBaseModel,
  type BaseModelFile,
  type UploadBaseModelOptions,
  type UploadProgress,
} from './upload-base-model.ts';
export { uploadAdapter, uploadDataset, type UploadAdapterOptions, type UploadDatasetOptions } from './upload.ts';
