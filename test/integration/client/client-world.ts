import type { AddressInfo } from 'node:net';
import {
  createClient,
  type ClientSettings,
  type ReadaptClient,
} from '../../../openapi/clients/typescript/src/index.ts';
import { createTestApp, type TestApp } from '../support/index.ts';
import { openRelay, type Relay } from './relay.ts';

export interface ClientWorld {
  readonly app: TestApp;
  /** Relay through which all requests of the clients go. */
  readonly relay: Relay;
  /** Creates a client (default: with the operator's key). */
  client(key?: string, settings?: Partial<ClientSettings>): ReadaptClient;
  /** Creates a client with the operator's key that records its requests. */
  recorded(): { readonly client: ReadaptClient; readonly sent: Request[] };
  close(): Promise<void>;
}

/** Real service listening behind a relay that can cut connections. */
export async function createClientWorld(given?: TestApp): Promise<ClientWorld> {
  const app = given ?? (await createTestApp());
  await app.app.listen({ port: 0, host: '127.0.0.1' });
  const relay = await openRelay((app.app.server.address() as AddressInfo).port);
  const client: ClientWorld['client'] = (apiKey = app.operatorKey, settings = {}) =>
    createClient({ baseUrl: relay.origin, apiKey, ...settings });
  return {
    app,
    relay,
    client,
    recorded: () => {
      const sent: Request[] = [];
      const recording: typeof fetch = (request, init) => {
        sent.push(request as Request);
        return fetch(request, init);
      };
      return { client: client(app.operatorKey, { fetch: recording }), sent };
    },
    close: async () => {
      await relay.close();
      await app.close();
    },
  };
}
