import { createHash } from 'node:crypto';
import { unprocessable, type AppError } from '../../platform/contract/errors.ts';

/** Size and hash that a part of an upload must have. */
export interface ExpectedPart {
  /** Name of the part in error messages, such as `part 2 of model.safetensors`. */
  readonly what: string;
  readonly bytes: number;
  /** SHA-256 that the sender announced for the part, hexadecimal; null if the sender announced none. */
  readonly sha256: string | null;
}

const ENTRY = /(?:^|,)\s*sha-256=:([A-Za-z0-9+/]{43}=):/;

/**
 * Reads the SHA-256 from a header `Content-Digest` (RFC 9530), as hexadecimal text. Returns null if there is no header.
 * @throws AppError 422 `digest_mismatch` if the header has no readable SHA-256
 */
export function sha256Of(header: string | undefined): string | null {
  if (header === undefined) return null;
  const [, text] = ENTRY.exec(header) ?? [];
  if (text === undefined) {
    throw unprocessable('digest_mismatch', 'Content-Digest has no usable SHA-256, expected sha-256=:<base64>:');
  }
  return Buffer.from(text, 'base64').toString('hex');
}

/** Refuses a part whose size in bytes is not the expected one. @throws AppError 422 `invalid_part` */
export function checkPartSize({ what, bytes: expected }: ExpectedPart, bytes: number): void {
  if (bytes !== expected)
    throw unprocessable('invalid_part', `${what} has ${bytes} bytes, expected ${expected}`, {
      expected_bytes: expected,
    });
}

/**
 * Passes on the bytes of a part, and counts and hashes them. Throws before the stream ends if the size or the hash is
 * wrong, so that the artifact store keeps no wrong part.
 * @throws AppError 422 `invalid_part` or `digest_mismatch`
 */
export async function* checked(chunks: AsyncIterable<Uint8Array>, part: ExpectedPart): AsyncGenerator<Uint8Array> {
  const hash = part.sha256 === null ? null : createHash('sha256');
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > part.bytes) checkPartSize(part, bytes);
    hash?.update(chunk);
    yield chunk;
  }
  checkPartSize(part, bytes);
  const found = hash?.digest('hex') ?? null;
  if (found !== part.sha256) throw mismatch(part, found);
}

function mismatch({ what, sha256 }: ExpectedPart, found: string | null): AppError {
  const message = `${what} has arrived with the SHA-256 ${found}, and its Content-Digest says ${sha256}: send it again`;
  return unprocessable('digest_mismatch', message);
}
