import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';

/** Name of a bucket, and the prefix of the keys to use in it: empty, or ending with a slash. */
export interface S3Place {
  readonly bucket: string;
  readonly prefix: string;
}

export interface S3Settings {
  /** Address of an S3-compatible service. Null leaves it to the SDK, which reads AWS_ENDPOINT_URL_S3. */
  readonly s3Endpoint: string | null;
  /**
   * Whether the bucket is named in the path of URLs rather than in the host. Null means: only if `s3Endpoint` is set.
   */
  readonly s3PathStyle: boolean | null;
}

/** Time after which a server that does not accept a connection counts as away, in milliseconds. */
const CONNECTION_MS = 5_000;
/** Time after which a connection without incoming data is given up, in milliseconds. */
const SILENT_MS = 60_000;

/**
 * Creates a client for S3 or a compatible service. The SDK finds credentials, region and checksum settings in its usual
 * places: AWS's variables and files (AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_REGION, AWS_REQUEST_CHECKSUM_CALCULATION …),
 * the role of a pod, or the role of a machine. The caller destroys the client.
 *
 * @param given settings that take precedence, for example credentials for one source
 */
export function createS3Client({ s3Endpoint, s3PathStyle }: S3Settings, given: S3ClientConfig = {}): S3Client {
  return new S3Client({
    // Requests to compatible services are signed with a region too, but most of these services have none.
    ...(s3Endpoint !== null && { endpoint: s3Endpoint, region: process.env.AWS_REGION ?? 'us-east-1' }),
    forcePathStyle: s3PathStyle ?? s3Endpoint !== null,
    requestHandler: { connectionTimeout: CONNECTION_MS, socketTimeout: SILENT_MS },
    ...given,
  });
}

/**
 * Whether an answer begins with the requested byte. A service or proxy that ignores ranges sends the whole object.
 * @param contentRange header of the answer, such as `bytes 100-199/200`
 */
export function startsAt(from: number, contentRange: string | undefined): boolean {
  return contentRange?.startsWith(`bytes ${from}-`) ?? false;
}

/** Parses the URL of a bucket. @throws Error if the text is not `s3://bucket` or `s3://bucket/prefix` */
export function parseS3Url(url: string): S3Place {
  const [, bucket, rest = ''] = /^s3:\/\/([^/]+)(?:\/(.*))?$/.exec(url) ?? [];
  if (bucket === undefined) throw new Error(`"${url}" is not usable, expected s3://bucket or s3://bucket/prefix`);
  const prefix = rest.replaceAll(/\/+/g, '/').replace(/^\/|\/$/g, '');
  return { bucket, prefix: prefix === '' ? '' : `${prefix}/` };
}
