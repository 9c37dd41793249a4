import { open } from 'node:fs/promises';
import {
  AbortMultipartUploadCommand,
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  paginateListObjectsV2,
  PutObjectCommand,
  type ListMultipartUploadsCommandOutput,
  type PutObjectCommandInput,
  type S3Client,
} from '@aws-sdk/client-s3';
import { afterBytes } from '../after-bytes.ts';
import { copyInParts, SINGLE_COPY_BYTES } from './copies.ts';
import { startsAt, type S3Place } from './s3-client.ts';
import { isLostRace, isMissingObject, isUnknownCondition, toS3Error } from './s3-faults.ts';
import { putLargeFile, SINGLE_PUT_BYTES, type KnownFile } from './large-files.ts';

export interface ObjectHead {
  readonly bytes: number;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface ListedObject {
  readonly key: string;
  readonly bytes: number;
  readonly modifiedAt: Date;
}

/**
 * Largest number of requests for reading one object. After a broken connection, the next request continues at the byte
 * where the last one ended.
 */
const READS = 4;

interface PutOptions {
  metadata?: Record<string, string>;
  /** SHA-256 of the object's bytes, hexadecimal. The service refuses other bytes. */
  sha256?: string;
  /** Makes the put do nothing and return false if there is an object with this key already. */
  ifAbsent?: boolean;
}

/**
 * The objects of a bucket whose keys begin with a prefix. All keys are given without the prefix. Faults are thrown as
 * {@link toS3Error} says.
 */
export interface Bucket {
  /** Address of the bucket and the prefix, such as `s3://bucket/prefix/`. */
  readonly name: string;
  head(key: string): Promise<ObjectHead | undefined>;
  /** Stores an object. @returns false if `ifAbsent` is set and there is an object with this key already */
  put(key: string, body: Buffer, options?: PutOptions): Promise<boolean>;
  /** Stores a file of known size and hash as an object. @throws Error if the file's content has changed */
  putFile(key: string, file: KnownFile, metadata?: Record<string, string>): Promise<void>;
  /**
   * Reads an object: the whole of it, or the bytes from the offset `from` up to, but not including, `to`.
   * @throws AppError `storage_away`; the SDK's error if the object is missing
   */
  read(key: string, from?: number, to?: number): AsyncGenerator<Uint8Array>;
  /** Copies an object within the service. An object that is larger than `partBytes` is copied in parts of this size. */
  copy(from: string, to: string, partBytes?: number): Promise<void>;
  remove(keys: Iterable<string>): Promise<void>;
  /** Lists the objects whose keys begin with `start`, in the order of the keys' bytes. */
  list(start: string): AsyncGenerator<ListedObject>;
  /**
   * Aborts unfinished multipart uploads to keys that begin with `start`, if the uploads were begun before the time
   * `before`.
   * @returns the number of aborted uploads
   */
  abortUploads(start: string, before: Date): Promise<number>;
}

export function createBucket(client: S3Client, { bucket: Bucket, prefix }: S3Place, encryption: string | null): Bucket {
  const encrypted = encryptionOf(encryption);
  const at = (key: string) => ({ Bucket, Key: `${prefix}${key}` });

  async function head(key: string): Promise<ObjectHead | undefined> {
    const found = await unlessMissing(client.send(new HeadObjectCommand(at(key))));
    return found && { bytes: found.ContentLength ?? 0, metadata: found.Metadata ?? {} };
  }

  async function put(key: string, body: Buffer, options: PutOptions = {}): Promise<boolean> {
    const input = { ...at(key), ...encrypted, Body: body, Metadata: options.metadata, ...checksumOf(options.sha256) };
    try {
      await putOnce(input, options.ifAbsent ?? false);
      return true;
    } catch (error) {
      if (options.ifAbsent === true && isLostRace(error)) return false;
      throw toS3Error(error);
    }
  }

  /**
   * Stores an object; with `isConditional`, only if there is no object with its key yet. A service that does not
   * support conditions stores the object in any case, so the last of several puts of the same object wins.
   */
  async function putOnce(input: PutObjectCommandInput, isConditional: boolean): Promise<void> {
    const condition = isConditional ? { IfNoneMatch: '*' } : {};
    try {
      await client.send(new PutObjectCommand({ ...input, ...condition }));
    } catch (error) {
      if (!isConditional || !isUnknownCondition(error)) throw error;
      await client.send(new PutObjectCommand(input));
    }
  }

  async function putFile(key: string, file: KnownFile, metadata?: Record<string, string>): Promise<void> {
    if (file.bytes > SINGLE_PUT_BYTES) {
      const params = { ...at(key), ...encrypted, Metadata: metadata };
      return s3Call(() => putLargeFile(client, params, file));
    }
    // The service compares the bytes that arrive with the checksum.
    await put(key, await readWhole(file), { metadata, sha256: file.sha256 });
  }

  async function* read(key: string, from = 0, to = Infinity): AsyncGenerator<Uint8Array> {
    let position = from;
    for (let left = READS; position < to || position === 0; left--) {
      const before = position;
      try {
        const range = from === 0 && to === Infinity && position === 0 ? undefined : rangeOf(position, to);
        const { Body, ContentRange } = await client.send(new GetObjectCommand({ ...at(key), Range: range }));
        const skip = startsAt(position, ContentRange) ? 0 : position;
        for await (const chunk of afterBytes(Body as AsyncIterable<Uint8Array>, skip)) {
          const taken = chunk.subarray(0, to - position);
          position += taken.byteLength;
          yield taken;
          if (taken.byteLength < chunk.byteLength) return;
        }
        return;
      } catch (error) {
        // Retry only if the connection has delivered some bytes: the SDK has already retried the first request several
        // times.
        if (left <= 1 || position === before) throw toS3Error(error);
      }
    }
  }

  async function copy(from: string, to: string, partBytes = SINGLE_COPY_BYTES): Promise<void> {
    const source = encodeURI(`${Bucket}/${prefix}${from}`);
    const { bytes = 0, metadata } = (await head(from)) ?? {};
    await s3Call<unknown>(() =>
      bytes > partBytes
        ? copyInParts(client, { ...at(to), ...encrypted, Metadata: metadata }, { source, bytes, partBytes })
        : client.send(new CopyObjectCommand({ ...at(to), ...encrypted, CopySource: source })),
    );
  }

  async function remove(keys: Iterable<string>): Promise<void> {
    for (const key of keys) await s3Call(() => client.send(new DeleteObjectCommand(at(key))));
  }

  async function* list(start: string): AsyncGenerator<ListedObject> {
    const pages = paginateListObjectsV2({ client }, { Bucket, Prefix: `${prefix}${start}` });
    for await (const { Contents = [] } of faultsOf(pages)) {
      for (const { Key = '', Size = 0, LastModified = new Date(0) } of Contents) {
        yield { key: Key.slice(prefix.length), bytes: Size, modifiedAt: LastModified };
      }
    }
  }

  async function abortUploads(start: string, before: Date): Promise<number> {
    let count = 0;
    let page: { KeyMarker?: string; UploadIdMarker?: string } | null = {};
    while (page !== null) {
      const listed: ListMultipartUploadsCommandOutput = await s3Call(() =>
        client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: `${prefix}${start}`, ...page })),
      );
      for (const { Key, UploadId, Initiated = before } of listed.Uploads ?? []) {
        if (Initiated >= before) continue;
        await unlessMissing(client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId })));
        count++;
      }
      const { IsTruncated: isTruncated = false, NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = listed;
      page = isTruncated ? { KeyMarker, UploadIdMarker } : null;
    }
    return count;
  }

  return { name: `s3://${Bucket}/${prefix}`, head, put, putFile, read, copy, remove, list, abortUploads };
}

const checksumOf = (sha256?: string) =>
  sha256 === undefined ? {} : { ChecksumSHA256: Buffer.from(sha256, 'hex').toString('base64') };

function encryptionOf(setting: string | null): Pick<PutObjectCommandInput, 'ServerSideEncryption' | 'SSEKMSKeyId'> {
  if (setting === null) return {};
  if (!setting.startsWith('aws:kms')) return { ServerSideEncryption: 'AES256' };
  const key = setting.slice('aws:kms:'.length);
  return { ServerSideEncryption: 'aws:kms', ...(key !== '' && { SSEKMSKeyId: key }) };
}

const rangeOf = (from: number, to: number): string => `bytes=${from}-${to === Infinity ? '' : to - 1}`;

async function readWhole({ path, bytes }: KnownFile): Promise<Buffer> {
  const handle = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(bytes);
    let position = 0;
    while (position < bytes) {
      const { bytesRead } = await handle.read(buffer, position, bytes - position);
      if (bytesRead === 0) throw new Error(`${path} has become shorter than ${bytes} bytes`);
      position += bytesRead;
    }
    return buffer;
  } finally {
    await handle.close();
  }
}

async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isMissingObject(error)) return undefined;
    throw toS3Error(error);
  }
}

async function s3Call<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toS3Error(error);
  }
}

async function* faultsOf<T>(pages: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* pages;
  } catch (error) {
    throw toS3Error(error);
  }
}
