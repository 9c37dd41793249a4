import path from 'node:path';
import type { S3Client } from '@aws-sdk/client-s3';
import type { Config } from '../../config/config.ts';
import { createLocalCache } from '../cache/local-cache.ts';
import { createBucket, type Bucket } from '../s3/bucket.ts';
import { createS3Client, parseS3Url, type S3Place } from '../s3/s3-client.ts';
import { createS3Store } from '../s3/s3-store.ts';
import { createPresigner, createSigner, type Presign } from '../s3/presigned-urls.ts';
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

/**
 * Opens the store at `s3://bucket/prefix`. Its client need not be closed, because it keeps nothing open once its
 * requests have ended.
 */
export async function openS3Store(
  url: string,
  config: S3StoreConfig,
): Promise<{ store: ArtifactStore; bucket: Bucket }> {
  const place = parseS3Url(url);
  const client = createS3Client(config);
  const bucket = createBucket(client, place, config.s3Encryption);
  const root = config.artifactCacheDir ?? path.join(config.dataDir, 'artifact-cache');
  const temporaries = await openTemporaries(root);
  const cache = await createLocalCache({ temporaries, limitBytes: config.artifactCacheBytes });
  return { store: createS3Store({ bucket, cache, temporaries, presign: presignerOf(config, place, client) }), bucket };
}

function presignerOf(config: S3StoreConfig, place: S3Place, client: S3Client): Presign | undefined {
  if (config.s3PresignSeconds === null) return undefined;
  return createPresigner(createSigner(config, client), place, config.s3PresignSeconds);
}
