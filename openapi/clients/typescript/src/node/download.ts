import type { Stats } from 'node:fs';
import { lstat, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import { extract, type ReadEntry } from 'tar';
import type { ReadaptClient } from '../create-client.ts';
import { backoffMs, sleep } from '../delays.ts';
import { ReadaptError } from '../errors.ts';
import { downloadAdapterVersion, getAdapterVersion } from '../generated/sdk.gen.ts';
import type { AdapterVersion } from '../generated/types.gen.ts';
import { folderDigest } from './folder-digest.ts';

export interface DownloadAdapterOptions {
  readonly client: ReadaptClient;
  readonly adapterId: string;
  readonly versionId: string;
  /** The folder to make, which must not exist; the folder that it is in has to. */
  readonly folder: string;
  readonly signal?: AbortSignal;
}

/** What has arrived is not what the version is. Nothing is left of it. */
export class DigestMismatchError extends ReadaptError {
  override readonly name = 'DigestMismatchError';
  readonly expected: string;
  readonly found: string;

  constructor(version: AdapterVersion, found: string) {
    super(`the download of ${version.id} has the digest ${found}, expected ${version.digest}`);
    this.expected = version.digest;
    this.found = found;
  }
}

/**
 * Downloads an adapter version as a PEFT folder. The files arrive in a temporary folder beside `folder`, which gets its name once
 * their digest is that of the version: the folder is whole or is not there. A download that is interrupted begins anew.
 *
 * @returns the version
 * @throws ReadaptError if the folder exists; DigestMismatchError; ProblemError; the reason of the signal
 */
export async function downloadAdapter(options: DownloadAdapterOptions): Promise<AdapterVersion> {
  const { client, adapterId, versionId, signal } = options;
  const folder = path.resolve(options.folder);
  if (await exists(folder)) throw new ReadaptError(`${folder} exists already: name a new folder`);
  const request = { client, path: { id: adapterId, version_id: versionId }, signal: signal ?? null };
  const version = await getAdapterVersion(request);
  const temporary = await mkdtemp(path.join(path.dirname(folder), `.${path.basename(folder)}-`));
  try {
    const files = path.join(temporary, 'files');
    await untilComplete(options, () => receive(request, files));
    const found = await folderDigest(files);
    if (found !== version.digest) throw new DigestMismatchError(version, found);
    await rename(files, folder);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return version;
}

/** A connection that was cut while the archive arrived. */
class Interruption extends Error {}

/** Repeats a download that is interrupted for as long as the client's retries go on. */
async function untilComplete({ client, signal }: DownloadAdapterOptions, work: () => Promise<void>): Promise<void> {
  const started = Date.now();
  for (let failures = 1; ; failures++) {
    try {
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      const delayMs = backoffMs(client.retries, failures);
      const isOver = Date.now() + delayMs - started >= client.retries.maxElapsedMs;
      if (!(error instanceof Interruption) || isOver) throw error instanceof Interruption ? error.cause : error;
      await sleep(delayMs, signal);
    }
  }
}

async function receive(request: Omit<Parameters<typeof downloadAdapterVersion>[0], 'url'>, files: string) {
  await rm(files, { recursive: true, force: true });
  await mkdir(files);
  const archive = (await downloadAdapterVersion({ ...request, parseAs: 'stream' })) as NodeReadableStream<Uint8Array>;
  // The files are in a folder that is named after the adapter.
  const unpacked = extract({ cwd: files, strip: 1, strict: true, preserveOwner: false, filter: isFile });
  await pipeline(arriving(archive), unpacked as unknown as NodeJS.WritableStream);
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

function isFile(_path: string, entry: Stats | ReadEntry): boolean {
  return 'type' in entry && (entry.type === 'File' || entry.type === 'OldFile');
}

async function exists(file: string): Promise<boolean> {
  return lstat(file).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}
