import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Parser, type ReadEntry } from 'tar';
import { writeHashed } from '../../artifacts/index.ts';
import { AppError, unprocessable } from '../../lib/errors.ts';
import {
  ADAPTER_FILE_LIMITS,
  ADAPTER_FILES,
  checkSize,
  isAdapterFile,
  PICKLE_ADVICE,
  PICKLED_WEIGHTS,
  requireFiles,
  type AdapterFile,
} from './adapter-files.ts';

/** The types of plain files in old and new archives. */
const FILE_TYPES = new Set(['File', 'OldFile']);
const MAX_ENTRIES = 16;
const BLOCK_BYTES = 512;

/** Size of the largest archive: the limits of its files plus room for headers and padding. */
export const ARCHIVE_LIMIT_BYTES = Object.values(ADAPTER_FILE_LIMITS).reduce((sum, bytes) => sum + bytes, 1 << 20);

/**
 * Unpacks the uncompressed tar archive of an adapter into a new folder. The archive may hold only the files of an
 * adapter, each at most once, all at the top or all in one folder. Links, devices and other paths are refused.
 *
 * @throws AppError 422 `invalid_archive` that names the entry, 422 `invalid_adapter` if a file is missing, 413
 */
export async function unpackAdapter(
  chunks: AsyncIterable<Uint8Array>,
  folder: string,
  limits = ADAPTER_FILE_LIMITS,
): Promise<void> {
  await mkdir(folder);
  const entries = createEntryCheck(limits);
  const unpacking = createUnpacking(folder, entries.check);
  try {
    for await (const chunk of checkFormat(chunks)) await unpacking.write(chunk);
    await unpacking.end();
  } catch (error) {
    await unpacking.abandon(error);
    throw error;
  }
  requireFiles(entries.seen);
}

/** Connects a tar parser with the writing of its entries. If either fails, both end at once. */
function createUnpacking(folder: string, check: (entry: ReadEntry) => AdapterFile | null) {
  const parser = new Parser({ strict: true });
  let saved: Promise<void> = Promise.resolve();
  let fail: (error: unknown) => void = () => undefined;
  const failed = new Promise<never>((_resolve, reject) => (fail = reject));
  failed.catch(() => undefined);
  const orFailure = <T>(work: Promise<T>): Promise<T> => Promise.race([failed, work]);

  parser.on('error', (error: Error) => fail(unreadable(error)));
  parser.on('ignoredEntry', (entry: ReadEntry) => fail(refused(entry.path, `is of type ${entry.type}`)));
  parser.on('entry', (entry: ReadEntry) => {
    try {
      const name = check(entry);
      saved = save(entry, name === null ? null : join(folder, name), failed);
      saved.catch(fail);
    } catch (error) {
      fail(error);
    }
  });
  return {
    async write(chunk: Uint8Array): Promise<void> {
      if (!parser.write(Buffer.from(chunk))) await orFailure(once(parser, 'drain'));
      await orFailure(Promise.resolve());
    },
    async end(): Promise<void> {
      const ended = once(parser, 'end');
      parser.end();
      await orFailure(ended);
      await orFailure(saved);
    },
    /** Stops writing the current file and closes it. */
    async abandon(error: unknown): Promise<void> {
      fail(error);
      await saved.catch(() => undefined);
    },
  };
}

async function save(entry: ReadEntry, path: string | null, failed: Promise<never>): Promise<void> {
  if (path === null) entry.resume();
  else await writeHashed(path, bytesOf(entry, failed));
}

/**
 * Reads an entry's bytes until the archive fails. Without that end the reader would wait forever for the next bytes of
 * an entry that the parser has destroyed.
 */
async function* bytesOf(entry: ReadEntry, failed: Promise<never>): AsyncGenerator<Uint8Array> {
  const chunks = entry[Symbol.asyncIterator]();
  for (;;) {
    const next = await Promise.race([failed, chunks.next()]);
    if (next.done === true) return;
    yield next.value;
  }
}

/** Makes a check of the entries of an archive, which remembers what it has seen. */
function createEntryCheck(limits: typeof ADAPTER_FILE_LIMITS) {
  const seen = new Set<AdapterFile>();
  let top: string | undefined;
  let count = 0;

  function checkTop(path: string, folder: string): void {
    if (folder === '' && path.startsWith('/')) throw refused(path, 'is an absolute path');
    if (folder === '..' || (top !== undefined && top !== folder)) {
      throw refused(path, 'is in another folder, expected all files in one folder');
    }
    top = folder;
  }

  /** The file that an entry is; null for the folder that holds the files. */
  function check(entry: ReadEntry): AdapterFile | null {
    const { path, type } = entry;
    if (++count > MAX_ENTRIES) throw refused(path, `exceeds the limit of ${MAX_ENTRIES} entries`);
    const parts = path.replace(/^(\.\/)+/, '').split('/');
    const name = parts.pop()!;
    if (type === 'Directory') {
      if (name === '' && parts.length === 0) return null;
      if (name !== '' || parts.length > 1) throw refused(path, 'is a folder within the folder of the files');
      checkTop(path, parts[0]!);
      return null;
    }
    if (!FILE_TYPES.has(type)) throw refused(path, `is of type ${type}, expected a plain file`);
    if (parts.length < 2 && name === PICKLED_WEIGHTS) throw refused(path, PICKLE_ADVICE);
    if (parts.length > 1 || !isAdapterFile(name))
      throw refused(path, `is not a file of an adapter, expected ${ADAPTER_FILES.join(', ')}`);
    checkTop(path, parts[0] ?? '');
    if (seen.has(name)) throw refused(path, 'occurs twice');
    checkSize(name, entry.size, limits[name]);
    seen.add(name);
    return name;
  }
  return { check, seen };
}

/** Passes the archive on after checking that its first block is a tar header, and not something compressed, say. */
async function* checkFormat(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let head: Buffer | null = Buffer.alloc(0);
  for await (const chunk of chunks) {
    if (head === null) {
      yield chunk;
      continue;
    }
    head = Buffer.concat([head, chunk]);
    if (head.length < BLOCK_BYTES) continue;
    if (head.toString('latin1', 257, 262) !== 'ustar') throw unreadable();
    yield head;
    head = null;
  }
  if (head !== null) throw unreadable();
}

function refused(path: string, reason: string): AppError {
  return unprocessable('invalid_archive', `archive entry ${JSON.stringify(path.slice(0, 200))} ${reason}`, {
    entry: path.slice(0, 200),
  });
}

function unreadable(cause?: Error): AppError {
  const reason =
    cause === undefined ? 'it does not begin with a tar header (compressed archives are not accepted)' : cause.message;
  return new AppError({
    code: 'invalid_archive',
    status: 422,
    message: `the body is not a complete tar archive: ${reason}`,
    cause,
  });
}
