import { Agent } from 'node:http';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { createClient, type Client } from '../client.ts';
import { startProcess, type BenchStack } from '../stack.ts';
import type { PolledFleet } from './fleet.ts';
import type { Poller } from './mix.ts';

/** Number of tenants that poll. */
const TENANTS = 40;

export interface PolledApi {
  operator: Poller;
  tenants: Poller[];
  cpuMs(): Promise<number>;
  stop(): Promise<void>;
}

/** Starts an API that logs each request to a file, and creates clients of the operator and of tenants. */
export async function startPolledApi(stack: BenchStack, fleet: PolledFleet): Promise<PolledApi> {
  const log = await open(path.join(stack.folder, 'api.log'), 'w');
  const api = startProcess('processes/api-process.ts', environment(stack), [], log.fd);
  const { url, key } = await api.next<{ url: string; key: string }>();
  // All clients share an agent, because the kernel refuses many new connections at once.
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const client = createClient(url, key, agent);
  const { position } = await newestEvent(stack);
  const poller = (of: Client, jobs: readonly string[]): Poller => ({ client: of, jobs, position, etags: new Map() });
  const tenantIds = [...new Set(fleet.jobs.map(({ tenantId }) => tenantId))].slice(0, TENANTS);
  const tenants: Poller[] = [];
  for (const tenantId of tenantIds) {
    const own = createClient(url, await createKey(client, tenantId), agent);
    const jobs = fleet.jobs.filter((job) => job.tenantId === tenantId);
    tenants.push(
      poller(
        own,
        jobs.map(({ id }) => id),
      ),
    );
  }
  const operator = poller(
    client,
    fleet.jobs.map(({ id }) => id),
  );
  return {
    operator,
    tenants,
    cpuMs: () => api.cpuMs(),
    stop: async () => {
      agent.destroy();
      await api.stop();
      await log.close();
    },
  };
}

async function createKey(operator: Client, tenantId: string): Promise<string> {
  const body = { name: 'poll', tenant_id: tenantId, scopes: ['tenant:read'] };
  const answer = await operator.request('/v1/api-keys', { method: 'POST', body });
  if (answer.status !== 201) throw new Error(`a key was not made: ${answer.body}`);
  return (JSON.parse(answer.body) as { key: string }).key;
}

async function newestEvent({ db }: BenchStack): Promise<{ position: string }> {
  const [newest] = await db.$queryRaw<{ position: string }[]>`
    SELECT transaction_id || '-' || seq AS position FROM events ORDER BY transaction_id DESC, seq DESC LIMIT 1`;
  if (newest === undefined) throw new Error('the fleet has no events');
  return newest;
}

/** Settings of an API on the database of a stack, at the default level of logging. */
function environment(stack: BenchStack): Record<string, string> {
  return {
    READAPT_HOST: '127.0.0.1',
    READAPT_PORT: '0',
    READAPT_DATA_DIR: `${stack.folder}/api`,
    DATABASE_URL: stack.databaseUrl,
    REDIS_URL: '',
    READAPT_RATE_LIMIT_PER_MINUTE: '1000000',
  };
}
