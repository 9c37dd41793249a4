import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { parseAnswer, type Answer } from './hostile-client.ts';

export type RawAnswer = Omit<Answer, 'answerMs'>;

/** Opens a connection and ignores its later errors. */
export async function openSocket(origin: string): Promise<Socket> {
  const { hostname, port } = new URL(origin);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.on('error', () => undefined);
  return socket;
}

/** Sends raw bytes and returns all answers until the service closes the connection. */
export async function exchange(origin: string, bytes: string | Uint8Array): Promise<RawAnswer[]> {
  const socket = await openSocket(origin);
  socket.write(bytes);
  let received = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => (received = Buffer.concat([received, chunk])));
  await once(socket, 'close');
  const answers: RawAnswer[] = [];
  for (let next = parseAnswer(received); next !== null; next = parseAnswer(next.rest)) answers.push(next.answer);
  return answers;
}
