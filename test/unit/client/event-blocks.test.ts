import { expect, test } from 'vitest';
import { readBlocks } from '../../../openapi/clients/typescript/src/events/server-sent-events.ts';

const TEXT =
  'retry: 3000\nid: 5-0\n\nid: 5-1\nevent: job.ready\ndata: {"name":"é"}\n\n' +
  ': heartbeat\nid: 7-0\n\nid: 8-1\ndata: {"cut';
const BLOCKS = [
  { id: '5-0', data: null },
  { id: '5-1', data: '{"name":"é"}' },
  { id: '7-0', data: null },
];

function streamOf(chunks: Iterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.iterator]();
  return new ReadableStream({
    pull(controller) {
      const next = iterator.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
  });
}

test.each([1, 2, 7, 1000])('reads blocks that come in pieces of %i bytes, and none that is cut off', async (size) => {
  const bytes = new TextEncoder().encode(TEXT);
  const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
  const blocks = [];
  for await (const block of readBlocks(streamOf(chunks))) blocks.push(block);
  expect(blocks).toEqual(BLOCKS);
});
