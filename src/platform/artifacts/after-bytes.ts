/**
 * Yields the bytes of a stream without its first `skip` bytes. A reader needs this if a server ignores a request for a
 * range and sends the whole file.
 */
export async function* afterBytes(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  skip: number,
): AsyncGenerator<Uint8Array> {
  let left = skip;
  for await (const chunk of chunks) {
    if (left >= chunk.length) left -= chunk.length;
    else {
      yield left === 0 ? chunk : chunk.subarray(left);
      left = 0;
    }
  }
}
