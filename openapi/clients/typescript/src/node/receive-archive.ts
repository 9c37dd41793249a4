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
  /** Where the archive goes. What is there already counts as its beginning. */
  readonly file: string;
  readonly signal?: AbortSignal | undefined;
}

/** A download was interrupted for longer than the client's retries go on. What has arrived is kept. */
export class DownloadInterruptedError extends ReadaptError {
  override readonly name = 'DownloadInterruptedError';
  /** The file with what has arrived. */
  readonly file: string;
  readonly bytes: number;

  constructor({ version, file }: ArchiveRequest, bytes: number, cause: unknown) {
    super(
      `the download of ${version.id} was interrupted after ${bytes} bytes (${reasonOf(cause)}), which are kept in ${file}: ` +
        'the next download to the same folder goes on from there',
      { cause },
    );
    this.file = file;
    this.bytes = bytes;
  }
}

/** A connection that was cut while the archive arrived. */
class Interruption extends Error {}

/**
 * Downloads the archive of a version. After an interruption it goes on where that happened, also in another process, as long as
 * the service says that the bytes are the same; otherwise it begins anew.
 *
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
      // A large archive takes longer than retries may: what counts is the time in which nothing arrives.
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
  /** The position of its first byte in the archive. */
  readonly start: number;
  readonly bytes: NodeReadableStream<Uint8Array>;
}

/** Asks for what comes after the first bytes: `complete` if that is nothing, `longer` if there are fewer than these. */
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

/** Writes bytes to their place. Nobody else can have made the file a link to another one. */
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
