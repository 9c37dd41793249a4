/** Bytes with which files of common compression formats begin, by format (their magic numbers). */
const SIGNATURES: readonly (readonly [format: string, bytes: readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['lz4', [0x04, 0x22, 0x4d, 0x18]],
  ['zip', [0x50, 0x4b, 0x03, 0x04]],
  ['7z', [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c]],
];

/** Number of bytes from the start of a file that {@link compressedFormat} needs. */
export const SIGNATURE_BYTES = 6;

/**
 * Recognizes common compression formats by their magic numbers. Returns, for example, `gzip`, or null if none matches.
 */
export function compressedFormat(start: Uint8Array): string | null {
  return SIGNATURES.find(([, bytes]) => bytes.every((byte, index) => start[index] === byte))?.[0] ?? null;
}
