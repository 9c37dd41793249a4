export interface Line {
  /** Number of the line in the file, from 1. */
  readonly number: number;
  /**
   * Bytes of the line without its line feed, valid until the next line is read; null if the line was longer than the
   * limit.
   */
  readonly bytes: Uint8Array | null;
}

/** Multiple of the length limit beyond which a line ends the reading. */
const MAX_EXCESS = 16;
const LINE_FEED = 0x0a;

/**
 * Splits a stream of bytes into lines. At most one line is in memory, in one buffer, however small the chunks are. A
 * line over the limit is yielded without its bytes; a line of more than 16 times the limit ends the reading.
 */
export async function* splitLines(chunks: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Line> {
  const held = createLineBuffer(maxBytes);
  let number = 1;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      held.add(chunk.subarray(start, end));
      yield { number: number++, bytes: held.take() };
      start = end + 1;
    }
    held.add(chunk.subarray(start));
    if (held.length() > maxBytes * MAX_EXCESS) break;
  }
  if (held.length() > 0) yield { number, bytes: held.take() };
}

/** Collects the pieces of a line. Pieces are copied, because the producer of a chunk may reuse its memory. */
function createLineBuffer(maxBytes: number) {
  let buffer = Buffer.alloc(Math.min(maxBytes, 4096));
  let length = 0;
  return {
    length: () => length,
    add(piece: Uint8Array): void {
      const end = length + piece.length;
      if (end <= maxBytes) {
        if (end > buffer.length) buffer = Buffer.concat([buffer], Math.min(maxBytes, Math.max(end, 2 * buffer.length)));
        buffer.set(piece, length);
      }
      length = end;
    },
    /** Returns the collected line, or null if it was too long, and starts the next one. */
    take(): Uint8Array | null {
      const line = length <= maxBytes ? buffer.subarray(0, length) : null;
      length = 0;
      return line;
    },
  };
}
