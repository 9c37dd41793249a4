import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  S3ServiceException,
  type GetObjectCommandInput,
  type S3Client,
} from '@aws-sdk/client-s3';
import { createS3Client, startsAt, type S3Settings } from '../artifacts/s3/s3-client.ts';
import { SETTINGS } from '../config/settings.ts';
import { afterBytes } from '../artifacts/after-bytes.ts';
import { requireFew, type ListingRules } from './listing.ts';
import { isRefusal, SourceError } from './source-error.ts';
import { sourceText, type PinnedFiles, type S3Source, type SourceFile } from './source.ts';

/** Names of errors about wrong credentials or a wrong region that have neither status 401 nor 403. */
const NOT_SET_UP =
  /^(CredentialsProviderError|AuthorizationHeaderMalformed|ExpiredToken|InvalidToken|TokenRefreshRequired)$/;

/** Largest number of objects whose versions are requested from the bucket at the same time. */
const HEADS_AT_A_TIME = 8;

/** Creates a reader for models in buckets of S3 and compatible services. Each object is read in its pinned state. */
export function createS3Models(settings: S3Settings, rules: ListingRules) {
  let client: S3Client | null = null;
  // The SDK looks for credentials at its first use, so the client is created only when it is needed.
  const connected = () => (client ??= createS3Client(settings));

  return {
    /** Lists the objects with their ETags, and with their versions if the bucket keeps versions. @throws SourceError */
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
      return { source, files: await withVersions(connected(), source, rules.check(source, files, names), signal) };
    },

    /**
     * Reads an object from a byte offset on. If the object was replaced or removed, reads its pinned version, if there
     * is one and it still exists.
     * @throws SourceError; `source_changed` if the object is not the pinned one
     */
    async *read(
      source: S3Source,
      { name, etag, versionId }: SourceFile,
      { from, signal }: { from: number; signal: AbortSignal },
    ): AsyncGenerator<Uint8Array> {
      const open = async (more: Partial<GetObjectCommandInput> = {}): Promise<AsyncIterable<Uint8Array>> => {
        const command = new GetObjectCommand({
          ...objectOf(source, name),
          ...(etag !== null && { IfMatch: etag }),
          ...(from > 0 && { Range: `bytes=${from}-` }),
          ...more,
        });
        const { Body: body, ContentRange: range } = await connected().send(command, { abortSignal: signal });
        return afterBytes((body ?? []) as AsyncIterable<Uint8Array>, startsAt(from, range) ? 0 : from);
      };
      try {
        // The current object needs no right to read versions, so it is requested first.
        const body = await open().catch((error: unknown) => {
          if (versionId === null || !isGone(error)) throw error;
          return open({ VersionId: versionId }).catch((later: unknown) => {
            throw isRefused(later) ? versionRefused(source, name, later) : later;
          });
        });
        yield* body;
      } catch (error) {
        signal.throwIfAborted();
        throw toSourceError(error, source, name);
      }
    },
  };
}

/** Adds to each object the version that the bucket has of it, if the bucket keeps versions. */
async function withVersions(
  client: S3Client,
  source: S3Source,
  files: readonly SourceFile[],
  signal: AbortSignal,
): Promise<SourceFile[]> {
  const pin = async (file: SourceFile): Promise<SourceFile> => {
    try {
      const command = new HeadObjectCommand(objectOf(source, file.name));
      const { ETag: etag, VersionId: versionId = null } = await client.send(command, { abortSignal: signal });
      if (versionId !== null && etag !== file.etag) throw justReplaced(source, file.name);
      return { ...file, versionId };
    } catch (error) {
      signal.throwIfAborted();
      throw toSourceError(error, source, file.name);
    }
  };
  const pinned: SourceFile[] = [];
  for (let start = 0; start < files.length; start += HEADS_AT_A_TIME) {
    // The first answers tell whether the bucket keeps versions.
    if (start > 0 && pinned[0]!.versionId === null) return [...pinned, ...files.slice(start)];
    pinned.push(...(await Promise.all(files.slice(start, start + HEADS_AT_A_TIME).map(pin))));
  }
  return pinned;
}

function justReplaced(source: S3Source, file: string): SourceError {
  const message = `${file} of ${sourceText(source)} was replaced while it was listed: send the request again`;
  return new SourceError('source_unreachable', message);
}

function objectOf(source: S3Source, name: string) {
  return { Bucket: source.bucket, Key: `${prefixOf(source)}${name}` };
}

/** Whether an error says that an object no longer exists, or no longer in its pinned state. */
function isGone(error: unknown): boolean {
  return [404, 412].includes(statusOf(error) ?? 0);
}

function isRefused(error: unknown): boolean {
  return [401, 403].includes(statusOf(error) ?? 0);
}

function versionRefused(source: S3Source, file: string, cause: unknown): SourceError {
  const message =
    `${file} of ${sourceText(source)} was replaced since it was registered, and this process may not read its ` +
    'version from then: allow s3:GetObjectVersion, or register what is there now as a new version';
  return new SourceError('source_unauthorized', message, { cause });
}

function prefixOf({ prefix }: S3Source): string {
  return prefix === '' ? '' : `${prefix}/`;
}

function nothing(source: S3Source): SourceError {
  const message =
    `${sourceText(source)} has no objects: ` + `check the bucket, the prefix and ${SETTINGS.s3Endpoint.variable}`;
  return new SourceError('source_not_found', message);
}

/** HTTP status of an answer, including answers that the SDK cannot parse, such as those of a proxy. */
function statusOf(error: unknown): number | null {
  if (error instanceof S3ServiceException) return error.$metadata.httpStatusCode ?? null;
  return (error as { $response?: { statusCode?: number } }).$response?.statusCode ?? null;
}

/** Converts a failure of the bucket, or a missing answer, to a source error. */
function toSourceError(error: unknown, source: S3Source, file: string | null): SourceError {
  if (error instanceof SourceError) return error;
  const what = `${file === null ? '' : `${file} of `}${sourceText(source)}`;
  const options = { cause: error };
  const status = statusOf(error);
  if (status === 412) {
    const message =
      `${what} is not the object any more that was registered: register ` + 'what is there now as a new version';
    return new SourceError('source_changed', message, options);
  }
  if (status === 404) {
    const message = `there is no ${what}: check the bucket, the prefix and ${SETTINGS.s3Endpoint.variable}`;
    return new SourceError('source_not_found', message, options);
  }
  const { name } = error as Error;
  if (isRefused(error) || NOT_SET_UP.test(name)) {
    const message =
      `this process may not read ${what} (${name}): check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role ` +
      'of the machine';
    return new SourceError('source_unauthorized', message, options);
  }
  const why = status === null ? (error as Error).message || name : `HTTP ${status}`;
  // Services also use 400 (`RequestTimeout`) for a connection that was too slow. `EndpointError` comes from the SDK
  // itself, which refuses bucket names with a special meaning.
  if ((isRefusal(status) && name !== 'RequestTimeout') || name === 'EndpointError') {
    const message = `${what} is refused (${why}, ${name}): check the bucket and its region, and the prefix`;
    return new SourceError('source_refused', message, options);
  }
  const message =
    `${what} could not be read (${why}): ` + `check ${SETTINGS.s3Endpoint.variable} and the network of this machine`;
  return new SourceError('source_unreachable', message, options);
}
