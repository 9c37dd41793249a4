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
  /** Everything that the clients send goes through it. */
  readonly relay: Relay;
  /** A client with the operator's key, or another one. */
  client(key?: string, settings?: Partial<ClientSettings>): ReadaptClient;
  /** A client with the operator's key, and the requests that it has sent. */
  recorded(): { readonly client: ReadaptClient; readonly sent: Request[] };
  close(): Promise<void>;
}

/** The real service, listening, behind a relay that can cut connections. */
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
