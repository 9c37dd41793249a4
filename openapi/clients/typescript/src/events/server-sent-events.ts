/** Block of a stream. A block that only reports the stream's position has no `data`. */
export interface StreamBlock {
  readonly id: string | null;
  readonly data: string | null;
}

/**
 * Reads the part of server-sent events (WHATWG HTML, section 9.2) that this service uses. Common parsers drop blocks
 * without data, whose `id` is the position for resuming before the first event.
 */
export async function* readBlocks(body: ReadableStream<Uint8Array>): AsyncGenerator<StreamBlock, void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      // A block that is cut off counts as not received.
      if (done) return;
      const blocks = (text + decoder.decode(value, { stream: true })).split('\n\n');
      text = blocks.pop()!;
      yield* blocks.map(parseBlock);
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function parseBlock(block: string): StreamBlock {
  let id: string | null = null;
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const [, field, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (field === 'id') id = value!;
    if (field === 'data') data.push(value!);
  }
  return { id, data: data.length === 0 ? null : data.join('\n') };
}
