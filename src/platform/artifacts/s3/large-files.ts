import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import type { PutObjectCommandInput, S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';

/** A local file whose content is known. */
export interface KnownFile {
  readonly path: string;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** Larger files are sent in parts. */
export const SINGLE_PUT_BYTES = 16 * 2 ** 20;
/** S3 takes 10,000 parts of at least 5 MiB. */
const MOST_PARTS = 9_000;

/**
 * Sends a file in parts, of which two are in memory at a time. The object is there when all of it has arrived. If the
 * upload fails, its parts are removed; those of a process that dies stay until the collector aborts the upload.
 *
 * @throws Error if the file has not the content that is known of it; nothing is stored then
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
    // Before the last part is sent, so that the upload fails and its object never appears.
    if (hash.digest('hex') !== file.sha256) throw new Error(`${file.path} has changed while it was stored`);
  }
  const partSize = Math.max(SINGLE_PUT_BYTES, Math.ceil(file.bytes / MOST_PARTS));
  const body = Readable.from(hashed(), { objectMode: false });
  await new Upload({ client, params: { ...params, Body: body }, partSize, queueSize: 2 }).done();
}
