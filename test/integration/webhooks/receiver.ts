import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { expect } from 'vitest';

export interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Message {
  readonly type: string;
  readonly timestamp: string;
  readonly data: { id: string; type: string; subject_id: string; tenant_id: string | null; sequence: string };
}

/** Answer of a receiver; null leaves the request unanswered. */
export type Answer = { status: number; headers?: Record<string, string>; body?: string } | null;

export interface Receiver {
  readonly url: string;
  readonly received: readonly Received[];
  /** Largest number of simultaneously open requests. */
  readonly mostAtOnce: number;
  answer: (request: Received, index: number) => Answer | Promise<Answer>;
  /** Waits until `count` requests have arrived. */
  waitFor(count: number): Promise<void>;
  /** Messages received, each verified by the Standard Webhooks library. */
  messages(secret: string): Message[];
  close(): Promise<void>;
}

/** Starts a server that receives webhooks. */
export async function createReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  let open = 0;
  let most = 0;
  const server = createServer((request, response) => {
    open += 1;
    most = Math.max(most, open);
    response.once('close', () => (open -= 1));
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const one = { headers: request.headers, body: Buffer.concat(chunks).toString() };
      received.push(one);
      void Promise.resolve(receiver.answer(one, received.length - 1)).then((answer) => {
        if (answer !== null) response.writeHead(answer.status, answer.headers).end(answer.body);
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    get mostAtOnce() {
      return most;
    },
    answer: () => ({ status: 204 }),
    waitFor: (count) => expect.poll(() => received.length).toBeGreaterThanOrEqual(count),
    messages: (secret) =>
      received.map(
        ({ headers, body }) => new Webhook(secret).verify(body, headers as Record<string, string>) as Message,
      ),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}
