import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { PresignedUrl, ServedAs } from '../stored-files.ts';
import { createS3Client, type S3Place, type S3Settings } from './s3-client.ts';
import { toS3Error } from './s3-faults.ts';

/** Creates a presigned URL of an object, without a request to the service. */
export type Presign = (key: string, as: ServedAs) => Promise<PresignedUrl>;

/** SDK options that keep its checksums out of presigned URLs. Readers compare the content with its SHA-256 instead. */
const SIGNING = { requestChecksumCalculation: 'WHEN_REQUIRED', responseChecksumValidation: 'WHEN_REQUIRED' } as const;

/**
 * Creates a client that signs for the address at which readers reach the bucket. That address does not reveal the
 * bucket's region, so the region of `client`, the service's own client, is used.
 */
export function createSigner(
  settings: S3Settings & { readonly s3PublicEndpoint: string | null },
  client: S3Client,
): S3Client {
  const s3Endpoint = settings.s3PublicEndpoint ?? settings.s3Endpoint;
  return createS3Client({ ...settings, s3Endpoint }, { ...SIGNING, region: client.config.region });
}

/**
 * Creates the function that makes presigned URLs. Anyone who knows such a URL can read the object. It works for
 * `seconds`, or less if the credentials that signed it expire before, as those of a role do.
 *
 * @param client a client for the address at which readers reach the bucket, because the signature covers the address
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
      // Signatures have a resolution of one second.
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
