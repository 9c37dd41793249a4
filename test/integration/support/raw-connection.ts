import { connect, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';

interface RawAnswer {
  status: number;
  body: Record<string, unknown>;
}

/** Client that keeps sending while it receives an answer, unlike Node's own client. */
export interface RawConnection {
  /** Writes the head of a POST; `write` sends the body. */
  post(path: string, headers: Record<string, string | number>): void;
  /** Resolves when the bytes have been handed to the network. */
  write(bytes: Uint8Array): Promise<void>;
  /** Reads the next answer on this connection. */
  answer(): Promise<RawAnswer>;
  close(): void;
}

export async function openConnection(app: FastifyInstance): Promise<RawConnection> {
  if (app.server.address() === null) await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as AddressInfo;
  const socket = connect(port, '127.0.0.1');
  await new Promise((resolve) => socket.once('connect', resolve));
  const answers = readAnswers(socket);
  return {
    post: (path, headers) => {
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.write(`POST ${path} HTTP/1.1\r\nhost: localhost\r\n${lines.join('')}\r\n`);
    },
    write: (bytes) =>
      new Promise((resolve, reject) => socket.write(bytes, (error) => (error ? reject(error) : resolve()))),
    answer: async () => {
      const next = await answers.next();
      if (next.done === true) throw new Error('the connection was closed without an answer');
      return next.value;
    },
    close: () => socket.destroy(),
  };
}

/** Parses consecutive answers that have a Content-Length. */
async function* readAnswers(socket: Socket): AsyncGenerator<RawAnswer, undefined> {
  let received = Buffer.alloc(0);
  for await (const chunk of socket) {
    received = Buffer.concat([received, chunk as Buffer]);
    for (;;) {
      const head = received.indexOf('\r\n\r\n');
      const lines = received.subarray(0, Math.max(head, 0)).toString('latin1');
      const end = head + 4 + Number(/content-length: (\d+)/i.exec(lines)?.[1] ?? 0);
      if (head < 0 || received.length < end) break;
      const body = received.subarray(head + 4, end).toString('utf8');
      yield { status: Number(lines.split(' ')[1]), body: JSON.parse(body) as Record<string, unknown> };
      received = received.subarray(end);
    }
  }
}
