import { constants } from 'node:fs';
import { lstat, open, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import { SECURITY, type ReadaptClient } from '../create-client.ts';
import { backoffMs, sleep } from '../delays.ts';
import { isProblem, ReadaptError, reasonOf } from '../errors.ts';
import type {
  AdapterVersion,
  DownloadAdapterVersionErrors,
  DownloadAdapterVersionResponses,
} from '../generated/types.gen.ts';

interface ArchiveRequest {
  readonly client: ReadaptClient;
  readonly version: AdapterVersion;
  /** File for the archive. Its present content counts as the beginning of the archive. */
  readonly file: string;
  readonly signal?: AbortSignal | undefined;
}

/** Download that was interrupted for longer than the client retries. The bytes that have arrived are kept. */
export class DownloadInterruptedError extends ReadaptError {
  override readonly name = 'DownloadInterruptedError';
  /** File with the bytes that have arrived. */
  readonly file: string;
  readonly bytes: number;

  constructor({ version, file }: ArchiveRequest, bytes: number, cause: unknown) {
    super(
      `the download of ${version.id} was interrupted after ${bytes} bytes (${reasonOf(cause)}), which are kept ` +
        `in ${file}: the next download to the same folder goes on from there`,
      { cause },
    );
    this.file = file;
    this.bytes = bytes;
  }
}

/** Loss of the connection while the archive arrived. */
class Interruption extends Error {}

/**
 * Downloads the archive of a version. After an interruption it resumes, even in another process, as long as the service
 * confirms that the bytes are the same; otherwise it starts over.
 * @throws DownloadInterruptedError; ProblemError; ConnectionError; the reason of the signal
 */
export async function receiveArchive(request: ArchiveRequest): Promise<void> {
  const { client, file, signal } = request;
  let started = Date.now();
  for (let failures = 1; ; failures++) {
    const before = await bytesOf(file);
    try {
      return await receiveRest(request, before);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof Interruption)) throw error;
      const bytes = await bytesOf(file);
      // A large archive may take longer than `maxElapsedMs`, which therefore limits only the time without progress.
      if (bytes > before) [started, failures] = [Date.now(), 1];
      const delayMs = backoffMs(client.retries, failures);
      if (Date.now() + delayMs - started >= client.retries.maxElapsedMs) {
        throw new DownloadInterruptedError(request, bytes, error.cause);
      }
      await sleep(delayMs, signal);
    }
  }
}

async function receiveRest(request: ArchiveRequest, before: number): Promise<void> {
  const answer = await ask(request, before);
  if (answer === 'complete') return;
  if (answer === 'longer') {
    await rm(request.file);
    return receiveRest(request, 0);
  }
  await write(request.file, answer);
}

interface Answer {
  /** Position of the first byte in the archive. */
  readonly start: number;
  readonly bytes: NodeReadableStream<Uint8Array>;
}

/**
 * Requests the bytes after the first `before`: `complete` if there are none, `longer` if the archive is shorter than
 * `before`.
 */
async function ask(
  { client, version, signal }: ArchiveRequest,
  before: number,
): Promise<Answer | 'complete' | 'longer'> {
  try {
    const { data, response } = await client.get<DownloadAdapterVersionResponses, DownloadAdapterVersionErrors, true>({
      responseStyle: 'fields',
      throwOnError: true,
      security: [...SECURITY],
      url: '/v1/adapters/{id}/versions/{version_id}/download',
      path: { id: version.adapter_id, version_id: version.id },
      // The ETag of an archive is the digest of its version.
      headers: before === 0 ? {} : { range: `bytes=${before}-`, 'if-range': `"${version.digest}"` },
      parseAs: 'stream',
      signal: signal ?? null,
    });
    const [, first = '0'] = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '') ?? [];
    return { start: Number(first), bytes: data as unknown as NodeReadableStream<Uint8Array> };
  } catch (error) {
    if (!isProblem(error, 'range_not_satisfiable')) throw error;
    return 'bytes' in error.problem && error.problem.bytes === before ? 'complete' : 'longer';
  }
}

/** Writes bytes to their place. Follows no symbolic link, which another user might have put in place of the file. */
async function write(file: string, { start, bytes }: Answer): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);
  const handle = await open(file, start === 0 ? flags | constants.O_TRUNC : flags, 0o600).catch(
    async (error: unknown) => {
      await bytes.cancel();
      throw error;
    },
  );
  await pipeline(arriving(bytes), handle.createWriteStream({ start }));
}

async function* arriving(archive: NodeReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const chunks = Readable.fromWeb(archive)[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  try {
    for (;;) {
      const next = await chunks.next().catch((cause: unknown) => {
        throw new Interruption('the download was interrupted', { cause });
      });
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await chunks.return?.();
  }
}

async function bytesOf(file: string): Promise<number> {
  return lstat(file).then(
    ({ size }) => size,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return 0;
      throw error;
    },
  );
}
