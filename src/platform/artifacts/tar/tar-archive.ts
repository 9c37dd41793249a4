import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { Header } from 'tar';
import { listFiles, partOfFile } from '../durable-files.ts';

const BLOCK_BYTES = 512;

/** Range of an archive's bytes, from `start` to `end`, both inclusive. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Archive whose size and bytes are determined in advance, so that any part of it can be read alone. */
export interface TarArchive {
  readonly bytes: number;
  /** Reads the whole archive, or a range. The stream fails if a file has become shorter. */
  read(range?: ByteRange): Readable;
}

/** File of known size, of which any part can be read alone. */
export interface ReadableFile {
  readonly path: string;
  readonly bytes: number;
  /** Reads from the byte `from` up to, but not including, `to`. The stream fails if the file is shorter. */
  read(from: number, to: number): AsyncIterable<Uint8Array>;
}

/** Part of an archive: bytes in memory, or the content of a file. */
type Piece = { readonly length: number } & ({ readonly content: Buffer } | { readonly file: ReadableFile });

/**
 * Creates a tar archive of a folder's files. The bytes of the archive are made while it is read. Files are sorted by
 * name, and the archive has no owners, times or modes of this machine. Equal folders therefore give archives with equal
 * bytes, and a client that has a part of an archive can get the rest later, even from another process.
 *
 * @param prefix folder of the files within the archive; empty for none
 * @throws Error if a path is too long for the header of an archive
 */
export async function tarOf(folder: string, prefix: string): Promise<TarArchive> {
  const files: ReadableFile[] = [];
  for (const path of await listFiles(folder)) {
    const file = join(folder, path);
    const { size } = await lstat(file);
    files.push({ path, bytes: size, read: (from, to) => partOfFile(file, from, to) });
  }
  return tarOfFiles(files, prefix);
}

/** Creates a tar archive as {@link tarOf} does, from files that may be anywhere. @param files sorted by their paths */
export function tarOfFiles(files: readonly ReadableFile[], prefix: string): TarArchive {
  const pieces: Piece[] = [];
  for (const file of files) {
    const { path, bytes: size } = file;
    pieces.push(inMemory(headerOf(prefix === '' ? path : `${prefix}/${path}`, size)), { length: size, file });
    pieces.push(inMemory(Buffer.alloc((BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES)));
  }
  pieces.push(inMemory(Buffer.alloc(2 * BLOCK_BYTES)));
  const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
  return {
    bytes,
    read: ({ start, end } = { start: 0, end: bytes - 1 }) =>
      Readable.from(chunksOf(pieces, { start, end }), { objectMode: false }),
  };
}

function inMemory(content: Buffer): Piece {
  return { length: content.length, content };
}

/** Creates the header of a file in an archive. @throws Error if the path does not fit */
export function headerOf(path: string, size: number): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  new Header({ path, size, type: 'File', mode: 0o644, mtime: new Date(0) }).encode(block);
  if (new Header(block).path !== path) throw new Error(`${path} does not fit into the header of an archive`);
  return block;
}

async function* chunksOf(pieces: readonly Piece[], { start, end }: ByteRange): AsyncGenerator<Uint8Array> {
  let begin = 0;
  for (const piece of pieces) {
    const [from, to] = [Math.max(0, start - begin), Math.min(piece.length, end + 1 - begin)];
    begin += piece.length;
    if (from >= to) continue;
    if ('content' in piece) yield piece.content.subarray(from, to);
    else yield* piece.file.read(from, to);
  }
}
