import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { S3Client } from '@aws-sdk/client-s3';

export interface RangelessS3 {
  readonly url: string;
  /** Objects by path, such as `/bucket/key`. */
  readonly objects: Map<string, Buffer>;
  /** Numbers of bytes after which the next answers' connections are closed. */
  readonly cuts: number[];
  /** Answers in place of sending an object; null sends it. */
  refuse: ((response: ServerResponse) => void) | null;
  client(): S3Client;
  close(): Promise<void>;
}

/** S3 service behind a proxy that does not forward ranges: it only sends whole objects. */
export async function startRangelessS3(): Promise<RangelessS3> {
  const server = createServer((request, response) => {
    if (s3.refuse !== null) return s3.refuse(response);
    const content = s3.objects.get(decodeURIComponent(new URL(request.url ?? '/', s3.url).pathname));
    if (content === undefined) return void response.writeHead(404).end();
    response.writeHead(200, { 'content-length': content.length, etag: '"1"' });
    const cut = s3.cuts.shift();
    if (cut === undefined) response.end(content);
    else response.write(content.subarray(0, cut), () => response.destroy());
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const s3: RangelessS3 = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects: new Map(),
    cuts: [],
    refuse: null,
    client: () =>
      new S3Client({
        endpoint: s3.url,
        region: 'us-east-1',
        forcePathStyle: true,
        credentials: { accessKeyId: 'key', secretAccessKey: 'secret' },
      }),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return s3;
}
