import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface Relay {
  /** Address for clients, `http://127.0.0.1:<port>`. */
  readonly origin: string;
  /** Cuts all open connections. */
  cut(): void;
  /**
   * Cuts all connections once, after the given number of answer bytes, and forwards no more bytes.
   * @param arrived resolves when the reader has received the bytes, because a cut loses those still in transit
   * (default: immediately)
   */
  cutAfter(bytes: number, arrived?: () => Promise<unknown>): void;
  /** Number of answer bytes forwarded since `cutAfter` cut the connections; null before the cut. */
  readonly bytesSinceCut: number | null;
  close(): Promise<void>;
}

/** Forwards TCP connections to a local port. */
export async function openRelay(port: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  let left = Infinity;
  let arrival: (() => Promise<unknown>) | undefined;
  let bytesSinceCut: number | null = null;
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  };
  const cut = (): void => sockets.forEach((socket) => socket.destroy());
  const cutSoon = (): void => void (arrival ? arrival().finally(cut) : cut());
  const answer = (near: Socket, far: Socket, chunk: Buffer): void => {
    const passed = chunk.subarray(0, left);
    left -= chunk.length;
    if (bytesSinceCut !== null) bytesSinceCut += chunk.length;
    if (left >= 0) return void near.write(passed);
    left = Infinity;
    bytesSinceCut = 0;
    far.pause();
    near.write(passed, cutSoon);
  };
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    keep(near);
    keep(far);
    near.pipe(far);
    near.on('close', () => far.destroy());
    far.on('end', () => near.end()).on('close', () => near.destroy());
    far.on('data', (chunk: Buffer) => answer(near, far, chunk));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    cutAfter: (bytes, arrived) => {
      left = bytes;
      arrival = arrived;
    },
    get bytesSinceCut() {
      return bytesSinceCut;
    },
    close: async () => {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}
