import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { PresignedUrl, ServedAs } from '../stored-files.ts';
import type { S3Place } from './s3-client.ts';
import { toS3Error } from './s3-faults.ts';

/** Makes a presigned URL of an object. Nothing is asked of the service. */
export type Presign = (key: string, as: ServedAs) => Promise<PresignedUrl>;

/**
 * Makes presigned URLs, which give one object to whoever knows them. They work for `seconds`, or for as long as the credentials that have signed
 * them, which those of a role do not outlive.
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
