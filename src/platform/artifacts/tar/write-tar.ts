import { headerOf } from './tar-archive.ts';

const BLOCK_BYTES = 512;

/** File of an archive. Its bytes are read when the file's turn comes. */
export interface TarFile {
  readonly path: string;
  readonly size: number;
  readonly bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/**
 * Writes a tar archive while its files are read, in the memory that one chunk takes. Paths may have 255 characters, and
 * no segment of a path more than 100.
 * @throws Error if a file does not have the size that it declares, because the archive would be broken
 */
export async function* writeTar(files: AsyncIterable<TarFile>): AsyncGenerator<Uint8Array> {
  for await (const { path, size, bytes } of files) {
    yield headerOf(path, size);
    let left = size;
    for await (const chunk of bytes) {
      left -= chunk.length;
      if (left < 0) break;
      yield chunk;
    }
    if (left !== 0) throw new Error(`${path} has not the ${size} bytes that it should have`);
    yield Buffer.alloc((BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES);
  }
  yield Buffer.alloc(2 * BLOCK_BYTES);
}
