import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import type { PutObjectCommandInput, S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';

/** Local file whose size and hash are known. */
export interface KnownFile {
  readonly path: string;
  readonly bytes: number;
  /** SHA-256 of the content, hexadecimal. */
  readonly sha256: string;
}

/** Size in bytes above which a file is sent in parts. */
export const SINGLE_PUT_BYTES = 16 * 2 ** 20;
/** Largest number of parts of an upload. S3 accepts 10,000, of at least 5 MiB each. */
const MOST_PARTS = 9_000;

/**
 * Sends a file in parts, of which two are in memory at a time. The object appears when the whole file has arrived. A
 * failed upload removes its parts; those of a process that dies stay until the collector aborts the upload.
 *
 * @throws Error if the file no longer has the known content; nothing is stored then
 */
export async function putLargeFile(
  client: S3Client,
  params: Omit<PutObjectCommandInput, 'Body'>,
  file: KnownFile,
): Promise<void> {
  const hash = createHash('sha256');
  async function* hashed(): AsyncGenerator<Uint8Array> {
    for await (const chunk of createReadStream(file.path, { highWaterMark: 2 ** 20 }) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      yield chunk;
    }
    // This check precedes the last part, so the upload fails and its object never appears.
    if (hash.digest('hex') !== file.sha256) throw new Error(`${file.path} has changed while it was stored`);
  }
  const partSize = Math.max(SINGLE_PUT_BYTES, Math.ceil(file.bytes / MOST_PARTS));
  const body = Readable.from(hashed(), { objectMode: false });
  await new Upload({ client, params: { ...params, Body: body }, partSize, queueSize: 2 }).done();
}
