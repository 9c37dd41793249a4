import { createReadStream } from 'node:fs';
import type { ReadaptClient } from '../create-client.ts';
import { sleep } from '../delays.ts';
import { isProblem, ReadaptError } from '../errors.ts';
import {
  completeBaseModelUpload,
  createBaseModelUpload,
  getBaseModelUpload,
  listBaseModelUploads,
  putBaseModelUploadPart,
} from '../generated/sdk.gen.ts';
import type { BaseModelUpload } from '../generated/types.gen.ts';
import { describeFiles, digestOfFiles, sha256Of, type BaseModelFile, type DescribedFile } from './described-file.ts';
import { streamed } from './streamed-body.ts';

export type { BaseModelFile } from './described-file.ts';

/** Progress of an upload: files are read for their digests, then sent, then verified by the service. */
export interface UploadProgress {
  readonly phase: 'reading' | 'sending' | 'verifying';
  readonly done: number;
  readonly total: number;
  /** Upload, or null before it is created. */
  readonly upload: BaseModelUpload | null;
}

export interface UploadBaseModelOptions {
  readonly client: ReadaptClient;
  /** Files of a model, and tar archives (`.tar`) of such files. */
  readonly files: readonly BaseModelFile[];
  /** Number of parts that are sent at a time (default 4). */
  readonly atOnce?: number;
  /**
   * Sends the files again even if a failed upload of them exists, or a complete one of which the service has lost a
   * part. An open upload is resumed in any case.
   */
  readonly again?: boolean;
  readonly onProgress?: (progress: UploadProgress) => void;
  /** Interval at which the state of the verification is polled, in milliseconds (default 1000). */
  readonly pollMs?: number;
  readonly signal?: AbortSignal;
}

/** Error of an upload whose files are not a model that the service accepts, or that keeps arriving damaged. */
export class UploadFailedError extends ReadaptError {
  override readonly name = 'UploadFailedError';
  readonly upload: BaseModelUpload;

  constructor(upload: BaseModelUpload) {
    const advice =
      upload.state === 'failed'
        ? `Delete it (DELETE /v1/base-model-uploads/${upload.id}), mend the files, and upload them again.`
        : 'What has arrived is kept: upload the files again to go on.';
    const reason = upload.error?.message ?? 'the service does not say why';
    super(`upload ${upload.id} is ${upload.state}: ${reason}. ${advice}`);
    this.upload = upload;
  }
}

/** Largest number of rounds in which the files are sent, if they arrive damaged. */
const TRIES = 3;
/** Smallest number of attempts to send a part whose connection is cut, however long each attempt takes. */
const PART_ATTEMPTS = 5;

/**
 * Uploads a base model. Resumes an earlier upload of the same files, even of another process, and uses a complete
 * upload as it is. Versions are registered with the upload's `source`.
 * @returns the complete upload
 * @throws UploadFailedError; ReadaptError if a file cannot be read; ProblemError; ConnectionError; the reason of the
 * signal
 */
export async function uploadBaseModel(options: UploadBaseModelOptions): Promise<BaseModelUpload> {
  const { files, signal, onProgress } = options;
  // Check the service and the key before reading files that may have hundreds of gigabytes.
  await listBaseModelUploads({ client: options.client, signal: signal ?? null, query: { limit: 1 } });
  const described = await describeFiles(files, {
    onBytes: (done, total) => onProgress?.({ phase: 'reading', done, total, upload: null }),
    signal,
  });
  let upload = await findOrCreate(options, described);
  for (let tries = 0; tries < TRIES && upload.state === 'open'; tries++) {
    upload = await sentAndVerified(options, upload, described);
  }
  if (upload.state !== 'complete') throw new UploadFailedError(upload);
  return upload;
}

/**
 * Sends the missing parts and waits for the verification. Another process that sends the same files may complete the
 * upload first, which is no error.
 */
async function sentAndVerified(
  options: UploadBaseModelOptions,
  upload: BaseModelUpload,
  described: readonly DescribedFile[],
): Promise<BaseModelUpload> {
  try {
    await sendMissing(options, upload, described);
    return await verified(options, upload.id);
  } catch (error) {
    if (!isProblem(error, 'base_model_upload_not_open') && !isProblem(error, 'base_model_upload_incomplete'))
      throw error;
    const { client, signal } = options;
    const found = await getBaseModelUpload({ client, path: { id: upload.id }, signal: signal ?? null });
    return found.state === 'verifying' ? verified(options, upload.id) : found;
  }
}

async function findOrCreate(
  options: UploadBaseModelOptions,
  described: readonly DescribedFile[],
): Promise<BaseModelUpload> {
  const shared = { client: options.client, signal: options.signal ?? null };
  const { data: found } = await listBaseModelUploads({
    ...shared,
    query: { files_digest: digestOfFiles(described), limit: 200 },
  });
  // An upload that failed once would fail again, after all its bytes were sent.
  const states = options.again === true ? ['verifying', 'open'] : ['complete', 'verifying', 'open', 'failed'];
  const usable = states.flatMap((state) => found.filter((one) => one.state === state));
  if (usable[0] !== undefined) {
    const upload = await getBaseModelUpload({ ...shared, path: { id: usable[0].id } });
    return upload.state === 'verifying' ? verified(options, upload.id) : upload;
  }
  const files = described.map(({ name, size, sha256 }) => ({ name, size, sha256 }));
  return createBaseModelUpload({ ...shared, body: { files } });
}

interface Part {
  readonly file: DescribedFile;
  readonly number: number;
  readonly start: number;
  readonly bytes: number;
}

async function sendMissing(
  options: UploadBaseModelOptions,
  upload: BaseModelUpload,
  described: readonly DescribedFile[],
): Promise<void> {
  const { atOnce = 4, onProgress, signal } = options;
  const parts = missingParts(upload, described);
  let done = upload.bytes - parts.reduce((sum, { bytes }) => sum + bytes, 0);
  const report = (): void => onProgress?.({ phase: 'sending', done, total: upload.bytes, upload });
  report();
  // The first fault aborts the other senders.
  const failed = new AbortController();
  const either = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
  const queue = parts.values();
  const send = async (): Promise<void> => {
    for (const part of queue) {
      either.throwIfAborted();
      await sendPart(options.client, upload, part, either);
      done += part.bytes;
      report();
    }
  };
  const senders = Array.from({ length: atOnce }, () => send());
  try {
    await Promise.all(senders);
  } catch (error) {
    failed.abort(error);
    await Promise.allSettled(senders);
    throw error;
  }
}

function missingParts(upload: BaseModelUpload, described: readonly DescribedFile[]): Part[] {
  const { part_bytes: partBytes } = upload;
  return upload.files.flatMap(({ name, missing }) => {
    const file = described.find((one) => one.name === name)!;
    return missing.flatMap(({ first, last }) =>
      Array.from({ length: last - first + 1 }, (_, index) => {
        const start = (first + index - 1) * partBytes;
        return { file, number: first + index, start, bytes: Math.min(partBytes, file.size - start) };
      }),
    );
  });
}

async function sendPart(
  client: ReadaptClient,
  { id }: BaseModelUpload,
  { file, number, start, bytes }: Part,
  signal: AbortSignal,
): Promise<void> {
  // Keeps the end of an empty range at its start: a smaller end would mean the whole file.
  const range = { start, end: start + Math.max(0, bytes - 1) };
  const digest = await sha256Of(file.path, { range, signal }, 'base64');
  const open = () => createReadStream(file.path, range);
  await untilReceived(signal, () =>
    putBaseModelUploadPart({
      client,
      path: { id, file: file.name, number },
      headers: { 'content-digest': `sha-256=:${digest}:` },
      ...streamed(client, open, signal, { leastAttempts: PART_ATTEMPTS }),
    }),
  );
}

/** Waits while the service is busy with other parts, which is no fault. */
async function untilReceived(signal: AbortSignal, send: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await send();
      return;
    } catch (error) {
      if (!isProblem(error, 'too_many_parts')) throw error;
      await sleep(error.retryAfterMs ?? 1000, signal);
    }
  }
}

async function verified(
  { client, signal, onProgress, pollMs = 1000 }: UploadBaseModelOptions,
  id: string,
): Promise<BaseModelUpload> {
  const shared = { client, path: { id }, signal: signal ?? null };
  for (let upload = await completeBaseModelUpload(shared); ; upload = await getBaseModelUpload(shared)) {
    const done = upload.files.reduce((sum, file) => sum + file.verified_bytes, 0);
    onProgress?.({ phase: 'verifying', done, total: upload.bytes, upload });
    if (upload.state !== 'verifying') return upload;
    await sleep(pollMs, signal);
  }
}
