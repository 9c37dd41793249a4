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
 * Size in bytes above which an object is copied in parts, and the size of these parts. S3 copies at most 5 GiB in one
 * request, and a service should answer before the connection counts as silent.
 */
export const SINGLE_COPY_BYTES = 2 ** 30;

/** Object to be copied in parts. */
interface LargeObject {
  /** Bucket and key, in the format of the header `x-amz-copy-source`. */
  readonly source: string;
  readonly bytes: number;
  readonly partBytes: number;
}

/**
 * Copies an object within the service, part by part. The copy appears when all parts are there. A failed copy removes
 * its parts; the parts of a process that dies stay until the upload is aborted.
 *
 * @param params destination, and all properties of the new object, because the metadata is not copied
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
