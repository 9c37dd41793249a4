import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { expect } from 'vitest';
import {
  createApiKey,
  createDataset,
  createTenant,
  listDatasets,
  type ReadaptClient,
} from '../../../openapi/clients/typescript/src/index.ts';
import { retryingClient } from '../../../cli/demo/register-fleet.ts';
import { MAX_CROWD_HEALTH_MS, underAttack } from './attack.ts';
import { openSocket } from './raw-exchange.ts';
import type { AttackedService } from './service.ts';

export const NDJSON = 'application/x-ndjson';
/** Smallest dataset: one row per split. */
export const ROWS = ['training', 'search', 'gate']
  .map((split) => `${JSON.stringify({ prompt: 'p', completion: 'c', split })}\n`)
  .join('');

/**
 * Idle time after which the service closes a connection in these tests. Honest clients are idle too while the service
 * works on the whole crowd's requests, which takes seconds on a busy machine.
 */
const IDLE_MS = 20_000;
export const HASTY = { READAPT_IDLE_TIMEOUT_MS: String(IDLE_MS) };

interface Crowd {
  readonly name: string;
  readonly connections: number;
  /** Bytes that a connection sends before it goes idle. */
  sent(index: number): string;
}

/** Client of a tenant who has nothing to do with the attacker. */
export async function honestTenant({ origin, operatorKey }: AttackedService): Promise<ReadaptClient> {
  const client = retryingClient(origin, operatorKey);
  const { id } = await createTenant({ client, body: { name: 'alice' } });
  const body = { name: 'honest', tenant_id: id, scopes: ['tenant:write' as const] };
  const { key } = await createApiKey({ client, body });
  return retryingClient(origin, key!);
}

/** Uploads a dataset and finds it in the list, as an honest tenant does. */
export async function honestWork(client: ReadaptClient, name: string): Promise<void> {
  await createDataset({ client, query: { name }, body: new Blob([ROWS]) });
  const { data } = await listDatasets({ client, query: { limit: 100 } });
  expect(data.map((dataset) => dataset.name)).toContain(name);
}

/**
 * Opens connections that each send something and then neither send nor read, lets an honest tenant work beside them,
 * and waits until the service has closed them all.
 * @returns the number of connections open when the honest work was done
 */
export async function standStill(service: AttackedService, honest: ReadaptClient, crowd: Crowd): Promise<number> {
  const sockets = await Promise.all(Array.from({ length: crowd.connections }, () => openSocket(service.origin)));
  const left = () => countOpen(service.origin, sockets);
  try {
    return await underAttack(
      service,
      crowd.name,
      async () => {
        sockets.forEach((socket, index) => socket.pause().write(crowd.sent(index)));
        await honestWork(honest, crowd.name.replaceAll(/\W+/g, '-'));
        const open = await left();
        await expect.poll(left, { timeout: 4 * IDLE_MS, interval: 200 }).toBe(0);
        return open;
      },
      { summary: (open) => [`honest work done beside ${open} connections`], maxHealthMs: MAX_CROWD_HEALTH_MS },
    );
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

const ESTABLISHED = '01';

/**
 * Number of connections that the service has not closed, according to its kernel: a client that does not read never
 * learns of it.
 */
async function countOpen(origin: string, sockets: readonly Socket[]): Promise<number> {
  const hexadecimal = (port: number | undefined) => port?.toString(16).toUpperCase().padStart(4, '0');
  const service = hexadecimal(Number(new URL(origin).port));
  const clients = new Set(sockets.map(({ localPort }) => hexadecimal(localPort)));
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(`/proc/net/${name}`, 'utf8').catch(() => '')),
  );
  const rows = tables.flatMap((table) => table.split('\n')).map((line) => line.trim().split(/[\s:]+/));
  // Columns of a row: number, address, port, peer address, peer port, state. Another program's connection may have the
  // same pair of ports at another address, so each client counts once.
  const open = rows.filter(
    ([, , own, , other, state]) => own === service && clients.has(other) && state === ESTABLISHED,
  );
  return new Set(open.map(([, , , , other]) => other)).size;
}
