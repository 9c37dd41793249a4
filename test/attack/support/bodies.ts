import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { Header } from 'tar';

const BLOCK_BYTES = 512;
const PIECE_BYTES = 64 << 10;

/** A body of one piece. */
export function* whole(bytes: Uint8Array | string): Generator<Uint8Array> {
  yield Buffer.from(bytes);
}

/** A body that starts with some bytes and then repeats others for ever. */
export function* endless(start: Uint8Array | string, repeated: Uint8Array | string): Generator<Uint8Array> {
  if (start.length > 0) yield Buffer.from(start);
  const unit = Buffer.from(repeated);
  const piece = Buffer.concat(Array.from({ length: Math.max(1, Math.floor(PIECE_BYTES / unit.length)) }, () => unit));
  for (;;) yield piece;
}

export interface TarEntry {
  readonly path: string;
  readonly type?: Header['type'];
  readonly linkpath?: string;
  readonly content?: Uint8Array | string;
  /** Size in the header, if it differs from that of the content. */
  readonly size?: number;
}

/** The blocks of an entry, without an end of the archive. */
export function tarEntry({ path, type = 'File', content = '', size, linkpath }: TarEntry): Buffer {
  const bytes = Buffer.from(content);
  const header = Buffer.alloc(BLOCK_BYTES);
  new Header({ path, type, linkpath, size: size ?? bytes.length, mode: 0o644, mtime: new Date(0) }).encode(header);
  return Buffer.concat([header, bytes, Buffer.alloc((BLOCK_BYTES - (bytes.length % BLOCK_BYTES)) % BLOCK_BYTES)]);
}

/** The record of an extended header that says what the next entry is. */
export function record(name: string, value: string): string {
  const rest = ` ${name}=${value}\n`;
  const length = rest.length + String(rest.length + String(rest.length).length).length;
  return `${length}${rest}`;
}

/** The two zero blocks at the end of an archive. */
export const TAR_END = Buffer.alloc(2 * BLOCK_BYTES);

/**
 * A gzip of about 800 KB whose original file name puts `ustar` where a tar header has it. It inflates to a whole archive
 * with 800 MB of zeros after its end, by a little less than the factor of 1,000 at which inflaters become suspicious.
 */
export function gzipBomb(archive: Uint8Array): Buffer {
  const start = gzipSync(Buffer.concat([archive, randomBytes(40 << 10)]));
  const name = `${'x'.repeat(247)}ustar${'x'.repeat(300)}\0`;
  const flags = Buffer.from([0x08]);
  const named = [start.subarray(0, 3), flags, start.subarray(4, 10), Buffer.from(name), start.subarray(10)];
  const zeros = gzipSync(Buffer.alloc(8 << 20), { level: 9 });
  return Buffer.concat([...named, ...Array.from({ length: 95 }, () => zeros)]);
}

/** A zstd frame, of a kind that decoders skip, with `ustar` where a tar header has it. */
export function zstdWithTarMagic(): Buffer {
  const bytes = Buffer.alloc(64 << 10, 0x55);
  bytes.set([0x28, 0xb5, 0x2f, 0xfd]);
  bytes.write('ustar', 257);
  return bytes;
}
