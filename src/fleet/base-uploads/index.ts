export { removeExpiredUploads } from './base-upload.repository.ts';
export { createUploadVerifier } from './verification/verifier.ts';
