import path from 'node:path';
import type { Config } from '../../config/config.ts';
import { createLocalCache } from '../cache/local-cache.ts';
import { createBucket, type Bucket } from '../s3/bucket.ts';
import { createS3Client, parseS3Url, type S3Place } from '../s3/s3-client.ts';
import { createS3Store } from '../s3/s3-store.ts';
import { createPresigner, type Presign } from '../s3/presigned-urls.ts';
import { openTemporaries } from '../temporaries.ts';
import type { ArtifactStore } from '../artifact-store.ts';

export type S3StoreConfig = Pick<
  Config,
  | 'dataDir'
  | 's3Endpoint'
  | 's3PathStyle'
  | 's3Encryption'
  | 's3PublicEndpoint'
  | 's3PresignSeconds'
  | 'artifactCacheDir'
  | 'artifactCacheBytes'
>;

/** Presigned URLs have no checksums of the SDK: readers compare what they get with its SHA-256. */
const SIGNING = { requestChecksumCalculation: 'WHEN_REQUIRED', responseChecksumValidation: 'WHEN_REQUIRED' } as const;

/** The store at `s3://bucket/prefix`. Its client needs no closing: it keeps nothing open once its requests have ended. */
export async function openS3Store(
  url: string,
  config: S3StoreConfig,
): Promise<{ store: ArtifactStore; bucket: Bucket }> {
  const place = parseS3Url(url);
  const bucket = createBucket(createS3Client(config), place, config.s3Encryption);
  const root = config.artifactCacheDir ?? path.join(config.dataDir, 'artifact-cache');
  const temporaries = await openTemporaries(root);
  const cache = await createLocalCache({ temporaries, limitBytes: config.artifactCacheBytes });
  return { store: createS3Store({ bucket, cache, temporaries, presign: presignerOf(config, place) }), bucket };
}

function presignerOf(config: S3StoreConfig, place: S3Place): Presign | undefined {
  if (config.s3PresignSeconds === null) return undefined;
  const s3Endpoint = config.s3PublicEndpoint ?? config.s3Endpoint;
  return createPresigner(createS3Client({ ...config, s3Endpoint }, SIGNING), place, config.s3PresignSeconds);
}
