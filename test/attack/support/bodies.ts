import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { Header } from 'tar';

const BLOCK_BYTES = 512;
const PIECE_BYTES = 64 << 10;

/** Body sent as one chunk. */
export function* whole(bytes: Uint8Array | string): Generator<Uint8Array> {
  yield Buffer.from(bytes);
}

/** Endless body: some bytes, then others repeated forever. */
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
  /** Size in the header, if it differs from the content's. */
  readonly size?: number;
}

/** Blocks of a tar entry, without the end of the archive. */
export function tarEntry({ path, type = 'File', content = '', size, linkpath }: TarEntry): Buffer {
  const bytes = Buffer.from(content);
  const header = Buffer.alloc(BLOCK_BYTES);
  new Header({ path, type, linkpath, size: size ?? bytes.length, mode: 0o644, mtime: new Date(0) }).encode(header);
  return Buffer.concat([header, bytes, Buffer.alloc((BLOCK_BYTES - (bytes.length % BLOCK_BYTES)) % BLOCK_BYTES)]);
}

/** Record of a PAX header, which describes the next entry. */
export function record(name: string, value: string): string {
  const rest = ` ${name}=${value}\n`;
  const length = rest.length + String(rest.length + String(rest.length).length).length;
  return `${length}${rest}`;
}

/** Two zero blocks that end a tar archive. */
export const TAR_END = Buffer.alloc(2 * BLOCK_BYTES);

/**
 * Gzip of about 800 KB whose original file name puts `ustar` where a tar header has it. It inflates to a complete
 * archive followed by 800 MB of zeros, a factor just below the 1,000 at which inflaters become suspicious.
 */
export function gzipBomb(archive: Uint8Array): Buffer {
  const start = gzipSync(Buffer.concat([archive, randomBytes(40 << 10)]));
  const name = `${'x'.repeat(247)}ustar${'x'.repeat(300)}\0`;
  const flags = Buffer.from([0x08]);
  const named = [start.subarray(0, 3), flags, start.subarray(4, 10), Buffer.from(name), start.subarray(10)];
  const zeros = gzipSync(Buffer.alloc(8 << 20), { level: 9 });
  return Buffer.concat([...named, ...Array.from({ length: 95 }, () => zeros)]);
}

/** Skippable zstd frame with `ustar` where a tar header has it. */
export function zstdWithTarMagic(): Buffer {
  const bytes = Buffer.alloc(64 << 10, 0x55);
  bytes.set([0x28, 0xb5, 0x2f, 0xfd]);
  bytes.write('ustar', 257);
  return bytes;
}
