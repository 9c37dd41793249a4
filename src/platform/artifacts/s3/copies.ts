import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCopyCommand,
  type CompletedPart,
  type CreateMultipartUploadCommandInput,
  type S3Client,
} from '@aws-sdk/client-s3';

/**
 * Larger objects are copied in parts of this size. S3 copies 5 GiB at once at most, and a service should answer before
 * the connection counts as silent.
 */
export const SINGLE_COPY_BYTES = 2 ** 30;

/** An object that is to be copied in parts. */
interface LargeObject {
  /** Bucket and key, as the header names them. */
  readonly source: string;
  readonly bytes: number;
  readonly partBytes: number;
}

/**
 * Copies an object within the service, part by part. It is there when all parts are. What a copy leaves that fails is
 * removed; what a process leaves that dies stays until the upload is aborted.
 *
 * @param params where it goes, with everything that the new object is to have: its metadata are not copied
 */
export async function copyInParts(
  client: S3Client,
  params: CreateMultipartUploadCommandInput,
  { source, bytes, partBytes }: LargeObject,
): Promise<void> {
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(params));
  const upload = { Bucket: params.Bucket, Key: params.Key, UploadId };
  try {
    const parts: CompletedPart[] = [];
    for (let start = 0; start < bytes; start += partBytes) {
      const range = `bytes=${start}-${Math.min(start + partBytes, bytes) - 1}`;
      const part = { CopySource: source, CopySourceRange: range, PartNumber: parts.length + 1 };
      const { CopyPartResult } = await client.send(new UploadPartCopyCommand({ ...upload, ...part }));
      parts.push({ ...CopyPartResult, PartNumber: part.PartNumber });
    }
    await client.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: parts } }));
  } catch (error) {
    // The caller needs the first error.
    await client.send(new AbortMultipartUploadCommand(upload)).catch(() => undefined);
    throw error;
  }
}
