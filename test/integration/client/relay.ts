import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface Relay {
  /** Where clients connect, `http://127.0.0.1:<port>`. */
  readonly origin: string;
  /** Cuts all connections that are open. */
  cut(): void;
  /**
   * Cuts all of them once, when so many more bytes of answers have gone through, and no further ones do.
   * @param arrived resolves when the bytes have arrived where they are wanted: who reads loses what is still on its way. Default: at once
   */
  cutAfter(bytes: number, arrived?: () => Promise<unknown>): void;
  /** How many bytes of answers have gone through since `cutAfter` cut the connections; null if it has not. */
  readonly bytesSinceCut: number | null;
  close(): Promise<void>;
}

/** Passes on TCP connections to a port of this machine. */
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
