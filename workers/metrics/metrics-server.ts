import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { SETTINGS } from '../../src/platform/config/settings.ts';
import { SetupError } from '../../src/platform/config/setup-error.ts';

export interface MetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Serves a worker's metrics at `/metrics`, and a liveness check at `/healthz`.
 * @throws SetupError `address_unusable` that names the setting
 */
export async function startMetricsServer(
  registry: Registry,
  { host, port }: { host: string; port: number },
): Promise<MetricsServer> {
  const answers: Readonly<Record<string, (response: ServerResponse) => Promise<unknown>>> = {
    '/metrics': async (response) => {
      const text = await registry.metrics();
      response.writeHead(200, { 'content-type': registry.contentType }).end(text);
    },
    '/healthz': async (response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"status":"ok"}');
    },
  };
  const server = createServer((request, response) => {
    const answer = request.method === 'GET' ? answers[request.url?.split('?')[0] ?? ''] : undefined;
    if (answer === undefined) response.writeHead(404).end();
    else answer(response).catch(() => response.writeHead(500).end());
  });
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new SetupError(
      'address_unusable',
      `${SETTINGS.workerMetricsPort.variable} is ${port}, on which this worker cannot listen at READAPT_HOST ${host} ` +
        `(${(error as NodeJS.ErrnoException).code ?? 'unknown'}): set it to a port that no other process uses; ` +
        'each worker of a machine needs its own',
      { badInput: true, cause: error },
    );
  }
  // The metrics server must not keep a worker from ending.
  server.unref();
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
