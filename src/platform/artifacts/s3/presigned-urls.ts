import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { PresignedUrl, ServedAs } from '../stored-files.ts';
import { createS3Client, type S3Place, type S3Settings } from './s3-client.ts';
import { toS3Error } from './s3-faults.ts';

/** Makes a presigned URL of an object. Nothing is asked of the service. */
export type Presign = (key: string, as: ServedAs) => Promise<PresignedUrl>;

/** Presigned URLs have no checksums of the SDK: readers compare what they get with its SHA-256. */
const SIGNING = { requestChecksumCalculation: 'WHEN_REQUIRED', responseChecksumValidation: 'WHEN_REQUIRED' } as const;

/**
 * Makes a client that signs for the address at which readers reach the bucket. That address says nothing of the
 * bucket's region, which is that of `client`, by which the service itself reaches it.
 */
export function createSigner(
  settings: S3Settings & { readonly s3PublicEndpoint: string | null },
  client: S3Client,
): S3Client {
  const s3Endpoint = settings.s3PublicEndpoint ?? settings.s3Endpoint;
  return createS3Client({ ...settings, s3Endpoint }, { ...SIGNING, region: client.config.region });
}

/**
 * Makes presigned URLs, which give one object to whoever knows them. They work for `seconds`, or for as long as the
 * credentials that have signed them, which those of a role do not outlive.
 *
 * @param client a client of the address at which readers reach the bucket, which is signed too
 */
export function createPresigner(client: S3Client, { bucket: Bucket, prefix }: S3Place, seconds: number): Presign {
  return async (key, { filename, mediaType }) => {
    const command = new GetObjectCommand({
      Bucket,
      Key: `${prefix}${key}`,
      ResponseContentDisposition: `attachment; filename="${filename}"`,
      ResponseContentType: mediaType,
    });
    try {
      const { expiration } = await client.config.credentials();
      // Signatures know whole seconds.
      const now = Math.floor(Date.now() / 1000) * 1000;
      const left = expiration === undefined ? Infinity : Math.floor((expiration.getTime() - now) / 1000);
      const expiresIn = Math.max(1, Math.min(seconds, left));
      const url = await getSignedUrl(client, command, { expiresIn, signingDate: new Date(now) });
      return { url, expiresAt: new Date(now + expiresIn * 1000) };
    } catch (error) {
      throw toS3Error(error);
    }
  };
}
