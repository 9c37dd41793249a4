const VERSION =
  '/v1/adapters/adp_0199f3a0-1c52-7b44-9a3e-5d0c7f1e2a04/versions/adv_0199f3a0-1c52-7b44-9a3e-5d0c7f1e2a05';

/** Example values about downloads, for the OpenAPI document. The keys have the same form as in {@link VALUES}. */
export const DOWNLOAD_VALUES: Readonly<Record<string, unknown>> = {
  download: `${VERSION}/download`,
  'ServedVersion.files': `${VERSION}/files`,
  'AdapterVersionFile.name': 'adapter_model.safetensors',
  'AdapterVersionFile.media_type': 'application/octet-stream',
  'AdapterVersionFile.url':
    'https://s3.example.com/models/readapt/folders/9c/0f3b7a/0199f3a0/adapter_model.safetensors' +
    '?X-Amz-Expires=900&X-Amz-Signature=4f2a',
  'AdapterVersionFile.expires_at': '2026-11-27T09:15:00.000Z',
};
