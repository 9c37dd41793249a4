import { Header, Pax } from 'tar';
import { compressedFormat } from '../../../../core/formats/compressed-format.ts';
import { AppError, unprocessable } from '../../contract/errors.ts';

const BLOCK_BYTES = 512;
/**
 * Largest number of headers in an archive. Extended headers count too, because an archive could consist of them alone.
 */
const MAX_HEADERS = 64;
/** Largest size of one extended header in bytes: room for a long name and for the attributes that some systems add. */
const MAX_EXTENDED_BYTES = 64 << 10;
const MAX_PATH_CHARACTERS = 1024;
/**
 * Largest number of zero bytes that may follow the end of an archive. `tar` fills its last record of 10 KiB, other
 * programs somewhat more.
 */
const MAX_PADDING_BYTES = 1 << 20;

/** Smallest file size in bytes that the eleven octal digits of a header cannot hold: 8 GiB. */
const MAX_OCTAL_SIZE = 8 ** 11;

const ZERO_BLOCK = Buffer.alloc(BLOCK_BYTES);
const EXTENDED = new Set(['ExtendedHeader', 'OldExtendedHeader']);
const LONG_PATH = new Set(['NextFileHasLongPath', 'OldGnuLongPath']);

export interface TarEntry {
  readonly path: string;
  /** Type of the entry, for example `File`, `OldFile`, `Directory` or `SymbolicLink`. */
  readonly type: string;
  readonly size: number;
  /** Offset of the content in the archive, in bytes. */
  readonly offset: number;
  /** Content of the entry. Bytes that are still unread when the next entry is requested are skipped. */
  readonly bytes: AsyncIterable<Uint8Array>;
}

/**
 * Matches a record of an extended header that programs may read in different ways: a size that is not a plain number,
 * or a path with a NUL, after which some programs read on and others do not.
 */
const AMBIGUOUS = /^\d+ (?:size=(?!\d+$)|path=.*\0)/m;

/** Matches a record of an extended header that describes a sparse file, in GNU tar's formats. */
const SPARSE = /^\d+ GNU\.sparse\./m;

/** Path and size that extended headers set for the next entry. */
interface Extended {
  readonly path?: string | undefined;
  readonly size?: number | undefined;
}

/**
 * Reads an uncompressed tar archive while it arrives, one entry after the other, without holding more than a chunk or a
 * header in memory. The package `tar` decodes the blocks. The parser of that package is not used, because it
 * decompresses input that looks like gzip and collects whatever follows the end of the archive.
 *
 * A block of zeros ends the archive. Only zeros may follow, at most 1 MiB. An archive may have at most 64 headers (by
 * default), extended headers of at most 64 KiB, and paths of at most 1,024 characters.
 *
 * @throws AppError 422 `invalid_archive`
 */
export async function* readTar(
  chunks: AsyncIterable<Uint8Array>,
  { maxHeaders = MAX_HEADERS }: { maxHeaders?: number } = {},
): AsyncGenerator<TarEntry> {
  const reader = createByteReader(chunks);
  try {
    let extended: Extended = {};
    for (let headers = 0; ; headers++) {
      const block = await reader.upTo(BLOCK_BYTES);
      if (headers === 0) checkFormat(block);
      // Some programs leave out the zeros at the end.
      if (block.length === 0) return;
      if (block.equals(ZERO_BLOCK)) return await expectZeros(reader);
      if (headers === maxHeaders) throw unreadable(`it has more than ${maxHeaders} headers`);
      const header = decodeHeader(block);
      if (isExtended(header.type)) {
        extended = { ...extended, ...(await readExtended(reader, header)) };
        continue;
      }
      const entry = describe(header, extended);
      extended = {};
      const content = createContent(reader, entry);
      yield { ...entry, offset: reader.position(), bytes: content.read() };
      for await (const rest of content.read()) void rest;
      await reader.upTo((BLOCK_BYTES - (entry.size % BLOCK_BYTES)) % BLOCK_BYTES);
    }
  } finally {
    await reader.close();
  }
}

function checkFormat(block: Buffer): void {
  const format = compressedFormat(block);
  if (format !== null) throw unreadable(`it is compressed with ${format}, expected an uncompressed archive`);
  if (block.toString('latin1', 257, 262) !== 'ustar') throw unreadable('it does not begin with a tar header');
}

function decodeHeader(block: Buffer): Header & { size: number } {
  if (block.length < BLOCK_BYTES) throw unreadable('it is cut off within a header');
  let header: Header;
  try {
    header = new Header(block);
  } catch (error) {
    throw unreadable('a header has a number that cannot be read', error);
  }
  if (!header.cksumValid) throw unreadable('the checksum of a header is wrong');
  if (!Number.isSafeInteger(header.size)) throw unreadable('a header has no usable size');
  return header as Header & { size: number };
}

function isExtended(type: string): boolean {
  return EXTENDED.has(type) || LONG_PATH.has(type) || type === 'GlobalExtendedHeader';
}

async function readExtended(reader: ByteReader, { type, size }: Header & { size: number }): Promise<Extended> {
  if (size > MAX_EXTENDED_BYTES) {
    throw unreadable(`an extended header has ${size} bytes, expected at most ${MAX_EXTENDED_BYTES}`);
  }
  const padded = Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
  const bytes = await reader.upTo(padded);
  if (bytes.length < padded) throw unreadable('it is cut off within an extended header');
  const text = bytes.toString('utf8', 0, size);
  if (LONG_PATH.has(type)) return { path: text.split('\0', 1)[0] };
  // For a sparse file, an archive has a map and pieces, which are not the file itself.
  if (SPARSE.test(text)) throw sparse(text);
  if (AMBIGUOUS.test(text)) throw unreadable('an extended header has a path or a size that can be read in two ways');
  const { path, size: contentSize } = Pax.parse(text);
  if (EXTENDED.has(type)) {
    return { ...(path !== undefined && { path }), ...(contentSize !== undefined && { size: contentSize }) };
  }
  if (path !== undefined || contentSize !== undefined) throw unreadable('a global header has a path or a size');
  return {};
}

/** Combines a header with the extended headers before it. */
function describe(header: Header & { size: number }, extended: Extended) {
  const { type, size } = header;
  const path = extended.path ?? header.path ?? '';
  if (path === '') throw unreadable('an entry has no path');
  if (path.length > MAX_PATH_CHARACTERS) {
    const message = `archive entry ${JSON.stringify(`${path.slice(0, 100)}…`)} has a path of ${path.length} characters`;
    throw unprocessable('invalid_archive', `${message}, expected at most ${MAX_PATH_CHARACTERS}`);
  }
  // A plain header has no room for such a size. Programs then write zero or the largest number, which no other content
  // has.
  if (extended.size !== undefined && extended.size >= MAX_OCTAL_SIZE && (size === 0 || size === MAX_OCTAL_SIZE - 1)) {
    return { path, type, size: extended.size };
  }
  // Programs that use one size or the other would find different files in the same archive.
  if (extended.size !== undefined && extended.size !== size) {
    const message = `archive entry ${JSON.stringify(path.slice(0, 200))} has ${size} bytes by its header`;
    throw unprocessable('invalid_archive', `${message} and ${extended.size} by its extended header`);
  }
  return { path, type, size };
}

function createContent(reader: ByteReader, { path, size }: { path: string; size: number }) {
  let left = size;
  return {
    /** Reads what is left of an entry's content. A reader that stops early leaves the rest to the next one. */
    async *read(): AsyncGenerator<Uint8Array> {
      while (left > 0) {
        const chunk = await reader.next(left);
        if (chunk === null) throw unreadable(`it is cut off within ${JSON.stringify(path.slice(0, 200))}`);
        left -= chunk.length;
        yield chunk;
      }
    },
  };
}

async function expectZeros(reader: ByteReader): Promise<void> {
  let bytes = 0;
  for (let chunk = await reader.next(Infinity); chunk !== null; chunk = await reader.next(Infinity)) {
    bytes += chunk.length;
    if (bytes > MAX_PADDING_BYTES || !chunk.every((byte) => byte === 0)) {
      throw unprocessable(
        'invalid_archive',
        `the body goes on after the end of the archive, expected nothing or at most ${MAX_PADDING_BYTES} zeros`,
      );
    }
  }
}

interface ByteReader {
  /** Reads the next bytes as they arrive, at least one and at most `maxBytes`; null at the end. */
  next(maxBytes: number): Promise<Uint8Array | null>;
  /** Reads exactly `bytes` bytes; fewer only at the end. */
  upTo(bytes: number): Promise<Buffer>;
  /** Number of bytes of the archive that were read so far. */
  position(): number;
  close(): Promise<void>;
}

function createByteReader(chunks: AsyncIterable<Uint8Array>): ByteReader {
  const iterator = chunks[Symbol.asyncIterator]();
  let held: Uint8Array = new Uint8Array();
  let position = 0;

  async function next(maxBytes: number): Promise<Uint8Array | null> {
    while (held.length === 0) {
      const arrived = await iterator.next();
      if (arrived.done === true) return null;
      held = arrived.value;
    }
    const taken = held.subarray(0, maxBytes);
    held = held.subarray(taken.length);
    position += taken.length;
    return taken;
  }

  return {
    next,
    async upTo(bytes) {
      const filled = Buffer.alloc(bytes);
      let length = 0;
      while (length < bytes) {
        const chunk = await next(bytes - length);
        if (chunk === null) break;
        filled.set(chunk, length);
        length += chunk.length;
      }
      return filled.subarray(0, length);
    },
    position: () => position,
    close: async () => void (await iterator.return?.()),
  };
}

function sparse(text: string): AppError {
  const [, name = 'an entry'] = /^\d+ GNU\.sparse\.name=(.{1,200})/m.exec(text) ?? [];
  return unreadable(`${JSON.stringify(name)} is stored as a sparse file: pack it without \`--sparse\``);
}

function unreadable(reason: string, cause?: unknown): AppError {
  const message = `the body is not a complete tar archive: ${reason}`;
  return new AppError({ code: 'invalid_archive', status: 422, message, cause });
}
