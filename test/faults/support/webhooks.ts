import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Webhook } from 'standardwebhooks';
import { retryingClient } from '../../../cli/demo/register-fleet.ts';
import { createWebhookEndpoint } from '../../../openapi/clients/typescript/src/index.ts';
import { until, type FaultStack } from './stack.ts';

/** Webhook endpoint of the operator that receives all events of the campaign. */
export interface Webhooks {
  /** Waits up to some minutes until all events have arrived. @returns the problems in words and the number of events */
  problems(): Promise<{ events: number; repeated: number; problems: string[] }>;
  close(): Promise<void>;
}

/** Answer time of the receiver in milliseconds, long enough that processes are often killed during a delivery. */
const ANSWER_MS = 50;
/**
 * Time within which all events must arrive: the lease of a killed process lasts a minute, and an event that failed
 * twice is retried after five.
 */
const DELIVERED_MS = 420_000;
/** Number of missing events that the message names. */
const SHOWN = 5;

export async function startWebhooks(stack: FaultStack): Promise<Webhooks> {
  const received = new Map<string, number>();
  const refused: string[] = [];
  let webhook: Webhook | null = null;
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    await sleep(ANSWER_MS);
    try {
      const { data } = webhook!.verify(body, request.headers as Record<string, string>) as { data: { id: string } };
      received.set(data.id, (received.get(data.id) ?? 0) + 1);
      response.writeHead(204).end();
    } catch (error) {
      refused.push(`a delivery could not be verified: ${String(error)}`);
      response.writeHead(400).end();
    }
  }

  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const client = retryingClient(stack.origin, stack.operatorKey);
  const { id, secret } = await createWebhookEndpoint({ client, body: { url } });
  webhook = new Webhook(secret!);
  const { createdAt } = await stack.db.webhookEndpoint.findUniqueOrThrow({ where: { id } });
  return {
    async problems() {
      const missing = () => missingOf(stack, { endpointId: id, since: createdAt, received });
      const reason = await until(
        'all events are delivered',
        async () => (await missing()).length === 0,
        DELIVERED_MS,
      ).then(
        () => [],
        (error: Error) => [error.message],
      );
      const left = await missing();
      const events = await stack.db.event.count({ where: { occurredAt: { gt: createdAt }, isCopy: false } });
      const repeated = [...received.values()].filter((times) => times > 1).length;
      return { events, repeated, problems: [...refused, ...reason, ...left.slice(0, SHOWN)] };
    },
    close: () => closed(server),
  };
}

/** Events that did not arrive, or that the delivery log does not record as delivered. */
async function missingOf(
  { db }: FaultStack,
  { endpointId, since, received }: { endpointId: string; since: Date; received: ReadonlyMap<string, number> },
): Promise<string[]> {
  const events = await db.event.findMany({
    where: { occurredAt: { gt: since }, isCopy: false },
    select: { id: true, type: true },
  });
  const deliveries = await db.webhookDelivery.findMany({ where: { endpointId, state: 'delivered' } });
  const logged = new Set(deliveries.map(({ eventId }) => eventId));
  return events.flatMap(({ id, type }) => {
    if (!received.has(id)) return [`event ${id} (${type}) was not delivered`];
    return logged.has(id) ? [] : [`event ${id} (${type}) was delivered, and the log of deliveries does not say so`];
  });
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

/** Kills the API while it delivers to an endpoint, or after a moment if it delivers nothing. */
export async function killDelivering(stack: FaultStack, kill: (pid: number) => void): Promise<void> {
  const isSending = async () => (await stack.db.webhookEndpoint.count({ where: { leaseOwner: { not: null } } })) > 0;
  await until('the API sends', isSending, 2000).catch(() => undefined);
  kill(stack.api.pid);
}
