import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';

/** A bucket, and what the keys in it begin with: empty, or with a slash at its end. */
export interface S3Place {
  readonly bucket: string;
  readonly prefix: string;
}

export interface S3Settings {
  /** Address of a service that is compatible with S3; null leaves it to the SDK, which takes AWS_ENDPOINT_URL_S3. */
  readonly s3Endpoint: string | null;
  /** Whether the bucket is named in the path; null: where `s3Endpoint` is set. */
  readonly s3PathStyle: boolean | null;
}

/** A server that does not take a connection within this time is away, in milliseconds. */
const CONNECTION_MS = 5_000;
/** A connection on which nothing arrives for this time is given up, in milliseconds. */
const SILENT_MS = 60_000;

/**
 * Makes a client of S3 or of a compatible service. The SDK takes credentials, the region and the use of checksums from
 * where it always does: the variables and files of AWS (AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_REGION,
 * AWS_REQUEST_CHECKSUM_CALCULATION …), the role of a pod or the role of a machine. The caller destroys it.
 *
 * @param given what stands instead of these, for example credentials of one source
 */
export function createS3Client({ s3Endpoint, s3PathStyle }: S3Settings, given: S3ClientConfig = {}): S3Client {
  return new S3Client({
    // Compatible services sign with a region too, but most of them do not have any.
    ...(s3Endpoint !== null && { endpoint: s3Endpoint, region: process.env.AWS_REGION ?? 'us-east-1' }),
    forcePathStyle: s3PathStyle ?? s3Endpoint !== null,
    requestHandler: { connectionTimeout: CONNECTION_MS, socketTimeout: SILENT_MS },
    ...given,
  });
}

/**
 * Whether an answer begins with the byte that was asked for. A service or a proxy that ignores ranges sends the whole
 * object.
 * @param contentRange as the answer has it, such as `bytes 100-199/200`
 */
export function startsAt(from: number, contentRange: string | undefined): boolean {
  return contentRange?.startsWith(`bytes ${from}-`) ?? false;
}

/** @throws Error if it is not `s3://bucket` or `s3://bucket/prefix` */
export function parseS3Url(url: string): S3Place {
  const [, bucket, rest = ''] = /^s3:\/\/([^/]+)(?:\/(.*))?$/.exec(url) ?? [];
  if (bucket === undefined) throw new Error(`"${url}" is not usable, expected s3://bucket or s3://bucket/prefix`);
  const prefix = rest.replaceAll(/\/+/g, '/').replace(/^\/|\/$/g, '');
  return { bucket, prefix: prefix === '' ? '' : `${prefix}/` };
}
