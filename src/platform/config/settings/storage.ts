import { folder, integerBetween, onOff, orNull, size, text, url } from './kinds.ts';
import type { Settings } from './setting.ts';

/** Pattern of a bucket and a prefix in it. The service itself checks the detailed rules for bucket names. */
const BUCKET = /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[A-Za-z0-9!_.*'()/-]*)?$/;

/**
 * Pattern of the encryption: `AES256` (with the service's keys), or `aws:kms` with the bucket's key or the key after
 * the second colon.
 */
const ENCRYPTION = /^(AES256|aws:kms(:[A-Za-z0-9:/_-]{1,2048})?)$/;

const page = 'deployment.md#artifacts-in-a-bucket';

/** Settings of the artifact store. */
export const STORAGE = {
  artifacts: {
    variable: 'READAPT_ARTIFACTS',
    kind: text(BUCKET, 's3://bucket or s3://bucket/prefix'),
    default: null,
    unset: '`READAPT_DATA_DIR/artifacts`',
    help: 'Bucket that holds the artifacts, and the prefix in it.',
    page,
  },
  s3Endpoint: {
    variable: 'READAPT_S3_ENDPOINT',
    kind: url(/^https?:\/\/.+/, 'http://host:port or https://host:port'),
    default: null,
    unset: "Amazon's",
    help: 'Address of a service that is compatible with S3, such as `https://s3.example.com`.',
    page,
  },
  s3PathStyle: {
    variable: 'READAPT_S3_PATH_STYLE',
    kind: onOff(),
    default: null,
    unset: '`on` with an endpoint',
    help: 'Whether the bucket is named in the path of a request (`on`) or in the host (`off`).',
  },
  s3Encryption: {
    variable: 'READAPT_S3_ENCRYPTION',
    kind: text(ENCRYPTION, 'AES256, aws:kms or aws:kms:<key id or ARN>'),
    default: null,
    unset: "the bucket's",
    help: 'Encryption of what is stored, by the service.',
    page,
  },
  s3PublicEndpoint: {
    variable: 'READAPT_S3_PUBLIC_ENDPOINT',
    kind: url(/^https?:\/\/[^?#@]+$/, 'http://host:port or https://host:port, without a user and a password'),
    default: null,
    unset: '`READAPT_S3_ENDPOINT`',
    help: 'Address by which those who download reach the bucket.',
    page,
    readBy: 'api',
  },
  s3PresignSeconds: {
    variable: 'READAPT_S3_PRESIGN_SECONDS',
    kind: orNull('off', integerBetween({ min: 1, max: 604_800, unit: 'seconds' })),
    default: '900',
    help:
      'Lifetime of a presigned URL of a file in the bucket, in seconds; `off` gives none, so that the API sends all ' +
      'bytes.',
    page,
    readBy: 'api',
  },
  artifactCacheDir: {
    variable: 'READAPT_ARTIFACT_CACHE_DIR',
    kind: folder(),
    default: null,
    unset: 'in the data folder',
    help: "Folder of this machine's copies of artifacts in a bucket.",
  },
  artifactCacheBytes: {
    variable: 'READAPT_ARTIFACT_CACHE_SIZE',
    kind: size({ min: 2 ** 20, example: '20GiB' }),
    default: '20GiB',
    help: 'Largest size of the copies of artifacts, except those that running jobs read.',
  },
} satisfies Settings;
