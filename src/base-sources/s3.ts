import { GetObjectCommand, ListObjectsV2Command, S3ServiceException, type S3Client } from '@aws-sdk/client-s3';
import { createS3Client, type S3Settings } from '../artifacts/s3/s3-client.ts';
import { S3_ENDPOINT_VARIABLE } from '../config/variables.ts';
import { requireFew, type ListingRules } from './listing.ts';
import { SourceError } from './source-error.ts';
import { sourceText, type PinnedFiles, type S3Source, type SourceFile } from './source.ts';

/** Reads models in buckets of S3 and of services that are compatible with it. Each object is read in the state that was pinned. */
export function createS3Models(settings: S3Settings, rules: ListingRules) {
  let client: S3Client | null = null;
  // The SDK looks for credentials when it is used first.
  const connected = () => (client ??= createS3Client(settings));

  return {
    /** Lists the objects with their ETags. @throws SourceError */
    async pin(source: S3Source, { signal }: { signal: AbortSignal }): Promise<PinnedFiles> {
      const prefix = prefixOf(source);
      const files: SourceFile[] = [];
      const names: string[] = [];
      let folders = 0;
      try {
        for (let token: string | undefined; ;) {
          const command = new ListObjectsV2Command({
            Bucket: source.bucket,
            Prefix: prefix,
            Delimiter: '/',
            ContinuationToken: token,
          });
          const page = await connected().send(command, { abortSignal: signal });
          for (const { Key: key = '', Size: size = 0, ETag: etag = null } of page.Contents ?? []) {
            const name = key.slice(prefix.length);
            names.push(name);
            files.push({ name, size, etag, sha256: null, gitSha1: null, versionId: null });
          }
          folders += page.CommonPrefixes?.length ?? 0;
          requireFew(source, names.length + folders, rules);
          token = page.NextContinuationToken;
          if (token === undefined) break;
        }
      } catch (error) {
        signal.throwIfAborted();
        throw toSourceError(error, source, null);
      }
      if (names.length === 0) throw nothing(source);
      return { source, files: rules.check(source, files, names) };
    },

    /** Opens an object, from a byte on. @throws SourceError; `source_changed` where it is not the one that was pinned */
    async *read(
      source: S3Source,
      { name, etag }: SourceFile,
      { from, signal }: { from: number; signal: AbortSignal },
    ): AsyncGenerator<Uint8Array> {
      try {
        const command = new GetObjectCommand({
          Bucket: source.bucket,
          Key: `${prefixOf(source)}${name}`,
          ...(etag !== null && { IfMatch: etag }),
          ...(from > 0 && { Range: `bytes=${from}-` }),
        });
        const { Body: body } = await connected().send(command, { abortSignal: signal });
        yield* (body ?? []) as AsyncIterable<Uint8Array>;
      } catch (error) {
        signal.throwIfAborted();
        throw toSourceError(error, source, name);
      }
    },
  };
}

function prefixOf({ prefix }: S3Source): string {
  return prefix === '' ? '' : `${prefix}/`;
}

function nothing(source: S3Source): SourceError {
  const message = `${sourceText(source)} has no objects: check the bucket, the prefix and ${S3_ENDPOINT_VARIABLE}`;
  return new SourceError('source_not_found', message);
}

/** The status of an answer, also of one that the SDK cannot read, such as that of a proxy. */
function statusOf(error: unknown): number | null {
  if (error instanceof S3ServiceException) return error.$metadata.httpStatusCode ?? null;
  return (error as { $response?: { statusCode?: number } }).$response?.statusCode ?? null;
}

/** Says what an answer of the service, or none, means. */
function toSourceError(error: unknown, source: S3Source, file: string | null): SourceError {
  if (error instanceof SourceError) return error;
  const what = `${file === null ? '' : `${file} of `}${sourceText(source)}`;
  const options = { cause: error };
  const status = statusOf(error);
  if (status === 412) {
    const message = `${what} is not the object any more that was registered: register what is there now as a new version`;
    return new SourceError('source_changed', message, options);
  }
  if (status === 404) {
    const message = `there is no ${what}: check the bucket, the prefix and ${S3_ENDPOINT_VARIABLE}`;
    return new SourceError('source_not_found', message, options);
  }
  const isRefused = status === 401 || status === 403 || (error as Error).name === 'CredentialsProviderError';
  if (isRefused) {
    const message = `this process may not read ${what} (${(error as Error).name}): check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role of the machine`;
    return new SourceError('source_unauthorized', message, options);
  }
  const why = status === null ? (error as Error).message || (error as Error).name : `HTTP ${status}`;
  const message = `${what} could not be read (${why}): check ${S3_ENDPOINT_VARIABLE} and the network of this machine`;
  return new SourceError('source_unreachable', message, options);
}
