import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { SourceFile, Sources } from '../../../src/platform/base-sources/index.ts';

const CHUNK = 256 * 1024;

interface ShardOptions {
  readonly shards: number;
  /** Size of each shard. */
  readonly bytes: number;
  /** Speed limit of one connection. */
  readonly bytesPerSecond: number;
}

/** Starts a local server with the files of a base, which limits the speed of each connection as hubs and buckets do. */
export async function startShards({ shards, bytes, bytesPerSecond }: ShardOptions) {
  const content = shardOf(bytes);
  const server = createServer((request, response) => {
    const from = Number(new URL(request.url!, 'http://server').searchParams.get('from'));
    void send(from, response);
  });
  const send = async (from: number, response: NodeJS.WritableStream): Promise<void> => {
    const begun = performance.now();
    for (let at = from; at < bytes; at += CHUNK) {
      const ahead = ((at - from) / bytesPerSecond) * 1000 - (performance.now() - begun);
      if (ahead > 1) await wait(ahead);
      if (!response.write(content.subarray(at, at + CHUNK))) await once(response, 'drain');
    }
    response.end();
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const sources: Sources = {
    pin: () => Promise.reject(new Error('nothing is pinned here')),
    async *read(_source, file, { from, signal }) {
      const response = await fetch(`http://127.0.0.1:${port}/${file.name}?from=${from}`, { signal });
      yield* response.body!;
    },
  };
  const none = { sha256: null, gitSha1: null, etag: null, versionId: null };
  const files = Array.from({ length: shards }, (_, index): SourceFile => ({
    name: `model-${index}.safetensors`,
    size: bytes,
    ...none,
  }));
  return { sources, files, sha256: createHash('sha256').update(content).digest('hex') };
}

/** Makes a safetensors file of the given size, with one tensor. */
function shardOf(bytes: number): Buffer {
  const content = Buffer.alloc(bytes, 7);
  const headerBytes = 256;
  const data = bytes - 8 - headerBytes;
  const header = JSON.stringify({ weight: { dtype: 'U8', shape: [data], data_offsets: [0, data] } });
  content.writeBigUInt64LE(BigInt(headerBytes));
  content.write(header.padEnd(headerBytes), 8);
  return content;
}
