import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Webhook } from 'standardwebhooks';
import { retryingClient } from '../../../cli/demo/register-fleet.ts';
import { createWebhookEndpoint } from '../../../openapi/clients/typescript/src/index.ts';
import { until, type FaultStack } from './stack.ts';

/** An endpoint of the operator's, to which all events of the campaign are sent. */
export interface Webhooks {
  /** Waits until all events have come, for some minutes. @returns what is wrong, in words, and how many events there are */
  problems(): Promise<{ events: number; repeated: number; problems: string[] }>;
  close(): Promise<void>;
}

/** The receiver takes so long to answer, so that a process is often killed while it delivers. In milliseconds. */
const ANSWER_MS = 50;
/** An endpoint is left to a process that was killed for a minute, and what failed twice is tried again after five. */
const DELIVERED_MS = 420_000;
/** Missing events that are named. */
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

/** Events of the log that have not come, or of which the log of deliveries does not say so. */
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

/** Kills the API while it sends to an endpoint, or a moment later where it sends nothing. */
export async function killDelivering(stack: FaultStack, kill: (pid: number) => void): Promise<void> {
  const isSending = async () => (await stack.db.webhookEndpoint.count({ where: { leaseOwner: { not: null } } })) > 0;
  await until('the API sends', isSending, 2000).catch(() => undefined);
  kill(stack.api.pid);
}
