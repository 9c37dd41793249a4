import path from 'node:path';
import Type from 'typebox';
import { parseMemory } from '../memory-setting.ts';
import {
  ARTIFACTS_VARIABLE,
  S3_ENCRYPTION_VARIABLE,
  S3_ENDPOINT_VARIABLE,
  S3_PRESIGN_SECONDS_VARIABLE,
  S3_PUBLIC_ENDPOINT_VARIABLE,
} from '../variables.ts';

/** A bucket, and the folder in it. The rules of bucket names are the service's to check. */
export const S3_PATTERN = "^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9!_.*'()/-]*)?$";

/** `AES256` (keys of the service), or `aws:kms` with the bucket's key or the one that follows the second colon. */
const ENCRYPTION_PATTERN = '^(AES256|aws:kms(:[A-Za-z0-9:/_-]{1,2048})?)$';

/** Settings of the artifact store, for the API and for workers. */
export const STORAGE_SCHEMA = {
  /** `s3://bucket/prefix` of the artifact store; null keeps it in the data folder. */
  artifacts: Type.Union([Type.String({ pattern: S3_PATTERN }), Type.Null()]),
  /** Address of a service that is compatible with S3; null leaves it to the AWS SDK, whose default is Amazon's. */
  s3Endpoint: Type.Union([Type.String({ pattern: '^https?://.+' }), Type.Null()]),
  /** Whether the bucket is named in the path of a request and not in the host; null: where `s3Endpoint` is set. */
  s3PathStyle: Type.Union([Type.Boolean(), Type.Null()]),
  /** Server-side encryption of stored objects; null leaves it to the bucket. */
  s3Encryption: Type.Union([Type.String({ pattern: ENCRYPTION_PATTERN }), Type.Null()]),
  /** Address at which those who download reach the bucket, if it is another one than `s3Endpoint`. */
  s3PublicEndpoint: Type.Union([Type.String({ pattern: '^https?://[^?#@]+$' }), Type.Null()]),
  /**
   * Lifetime of a presigned URL of a file in the bucket, in seconds; null makes no URLs, so that the API sends the
   * files.
   */
  s3PresignSeconds: Type.Union([Type.Integer({ minimum: 1, maximum: 604_800 }), Type.Null()]),
  /** Absolute path of the folder of local copies of artifacts; null puts it into the data folder. */
  artifactCacheDir: Type.Union([Type.String({ minLength: 1 }), Type.Null()]),
  /** Largest size of all local copies that nobody reads, in bytes. */
  artifactCacheBytes: Type.Integer({ minimum: 2 ** 20 }),
};

const asText = (text: string): unknown => text;
const asSwitch = (text: string): unknown => ({ on: true, off: false })[text] ?? text;

export const STORAGE_SETTINGS = {
  artifacts: {
    variable: ARTIFACTS_VARIABLE,
    fallback: null,
    parse: asText,
    expected: 's3://bucket or s3://bucket/prefix',
  },
  s3Endpoint: {
    variable: S3_ENDPOINT_VARIABLE,
    fallback: null,
    parse: asText,
    expected: 'http://host:port or https://host:port',
    secretUrl: true,
  },
  s3PathStyle: { variable: 'READAPT_S3_PATH_STYLE', fallback: null, parse: asSwitch, expected: 'on or off' },
  s3Encryption: {
    variable: S3_ENCRYPTION_VARIABLE,
    fallback: null,
    parse: asText,
    expected: 'AES256, aws:kms or aws:kms:<key id or ARN>',
  },
  s3PublicEndpoint: {
    variable: S3_PUBLIC_ENDPOINT_VARIABLE,
    fallback: null,
    parse: asText,
    expected: 'http://host:port or https://host:port, without a user and a password',
    secretUrl: true,
  },
  s3PresignSeconds: {
    variable: S3_PRESIGN_SECONDS_VARIABLE,
    fallback: 900,
    parse: (text: string): unknown => (text === 'off' ? null : /^\d+$/.test(text) ? Number(text) : text),
    expected: 'an integer from 1 to 604800 (seconds), or off',
  },
  artifactCacheDir: {
    variable: 'READAPT_ARTIFACT_CACHE_DIR',
    fallback: null,
    parse: (text: string): unknown => path.resolve(text),
    expected: 'a folder',
  },
  artifactCacheBytes: {
    variable: 'READAPT_ARTIFACT_CACHE_SIZE',
    fallback: 20 * 2 ** 30,
    parse: parseMemory,
    expected: 'a size of at least 1MiB, such as 20GiB',
  },
};
