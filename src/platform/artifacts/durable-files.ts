import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { chmod, lstat, mkdir, open, readdir, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { unprocessable } from '../contract/errors.ts';
import type { ManifestEntry } from './manifest.ts';

const CHUNK_BYTES = 1 << 20;

export interface HashedBytes {
  readonly bytes: number;
  /** SHA-256 of the bytes, hexadecimal. */
  readonly sha256: string;
}

/** Writes a stream to a new file, hashes it on the way, and syncs the file to disk. */
export async function writeHashed(path: string, source: AsyncIterable<Uint8Array>): Promise<HashedBytes> {
  const handle = await open(path, 'wx', 0o644);
  try {
    const written = await pump(source, handle);
    await handle.sync();
    return written;
  } finally {
    await handle.close();
  }
}

async function pump(source: AsyncIterable<Uint8Array>, handle: FileHandle): Promise<HashedBytes> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of source) {
    hash.update(chunk);
    await writeFully(handle, chunk);
    bytes += chunk.byteLength;
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** Writes a whole chunk. A single `write` may write fewer bytes than it was given. */
async function writeFully(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let done = 0; done < chunk.byteLength;) {
    const { bytesWritten } = await handle.write(chunk, done, chunk.byteLength - done);
    done += bytesWritten;
  }
}

/** Reads the bytes of a plain file. A link at `path` is not followed: it fails with ELOOP. */
export async function* readPlainFile(path: string): AsyncGenerator<Uint8Array> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if (!(await handle.stat()).isFile()) throw notPlain(path);
    for (;;) {
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

/**
 * Reads a file from the byte `from` up to, but not including, `to`.
 * @throws Error if the file ends before `to`
 */
export async function* partOfFile(file: string, from: number, to: number): AsyncGenerator<Buffer> {
  if (from === to) return;
  let left = to - from;
  for await (const chunk of createReadStream(file, { start: from, end: to - 1 }) as AsyncIterable<Buffer>) {
    left -= chunk.length;
    yield chunk;
  }
  if (left > 0) throw new Error(`${file} has ${to - left} bytes, expected at least ${to}`);
}

export const hashFile = (path: string): Promise<HashedBytes> => hashBytes(readPlainFile(path));

export async function hashBytes(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<HashedBytes> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of source) {
    hash.update(chunk);
    bytes += chunk.byteLength;
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** Lists the plain files below a folder as relative paths with `/`. @throws AppError if there is a link or a device */
export async function listFiles(folder: string, prefix = ''): Promise<string[]> {
  const files: string[] = [];
  for (const entry of await readdir(join(folder, prefix), { withFileTypes: true })) {
    const path = `${prefix}${entry.name}`;
    if (entry.isDirectory()) files.push(...(await listFiles(folder, `${path}/`)));
    else if (entry.isFile()) files.push(path);
    else throw notPlain(path);
  }
  return files.sort();
}

/**
 * Copies a folder's plain files to a new folder and hashes them on the way. When this returns, everything is on disk.
 */
export async function copyFolderHashed(from: string, to: string): Promise<ManifestEntry[]> {
  await mkdir(to);
  const entries: ManifestEntry[] = [];
  const folders = new Set<string>();
  for (const path of await listFiles(from)) {
    const parts = path.split('/').slice(0, -1);
    for (let depth = 1; depth <= parts.length; depth++) folders.add(parts.slice(0, depth).join('/'));
    await mkdir(join(to, ...parts), { recursive: true });
    entries.push({ path, ...(await writeHashed(join(to, path), readPlainFile(join(from, path)))) });
  }
  for (const path of [...folders].sort().reverse()) await syncFolder(join(to, path));
  await syncFolder(to);
  return entries;
}

/** Hashes the files of a folder. */
export async function describeFolder(folder: string): Promise<ManifestEntry[]> {
  const entries: ManifestEntry[] = [];
  for (const path of await listFiles(folder)) entries.push({ path, ...(await hashFile(join(folder, path))) });
  return entries;
}

/** Makes a file, or a folder with all its contents, writable or read-only. */
export async function setWritable(path: string, writable: boolean): Promise<void> {
  const isFolder = (await lstat(path)).isDirectory();
  if (isFolder && writable) await chmod(path, 0o755);
  if (isFolder) for (const name of await readdir(path)) await setWritable(join(path, name), writable);
  if (!isFolder) await chmod(path, writable ? 0o644 : 0o444);
  else if (!writable) await chmod(path, 0o555);
}

/** Syncs a folder to disk, which makes the names of its entries durable. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function notPlain(path: string) {
  return unprocessable('not_a_plain_file', `${path} is a link or a device, expected a plain file`);
}
