import { once } from 'node:events';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { recordEvent } from '../../../src/delivery/events/index.ts';
import { createClient, type Client } from './client.ts';
import { apiEnvironment } from './plan.ts';
import { cpuMs } from '../../../test/processor-time.ts';
import { residentBytes, startProcess, transactions, type BenchStack } from './stack.ts';

export interface StreamFigures {
  readonly streams: number;
  readonly tenants: number;
  /** Resident memory of the API for each stream, in bytes. */
  readonly bytesEach: number;
  /** Load before any stream is open. */
  readonly without: LoadFigures;
  /** Load while streams wait. */
  readonly idle: LoadFigures;
  /** Load while events happen. */
  readonly busy: LoadFigures;
  /** Milliseconds from the commit of an event to its arrival at a stream, sorted. */
  readonly latenciesMs: readonly number[];
}

export interface LoadFigures {
  readonly seconds: number;
  readonly events: number;
  readonly queries: number;
  readonly apiCpuMs: number;
  readonly databaseCpuMs: number;
}

const TENANTS = 40;
const LIMIT = '100000';
/** Wait until PostgreSQL has counted all transactions, which it does within ten seconds, in milliseconds. */
const COUNTED_MS = 11_000;

interface Reader {
  readonly tenantId: string;
  close(): void;
}

/** Opens streams of events of several tenants, and measures their cost without events and with some. */
export async function measureStreams(
  stack: BenchStack,
  { streams, seconds }: { streams: number; seconds: number },
): Promise<StreamFigures> {
  const limits = { READAPT_EVENT_STREAMS: LIMIT, READAPT_TENANT_EVENT_STREAMS: LIMIT };
  const api = startProcess('processes/api-process.ts', { ...apiEnvironment(stack, null), ...limits });
  const { url, key } = await api.next<{ url: string; key: string }>();
  const client = createClient(url, key);
  const latenciesMs: number[] = [];
  const readers: Reader[] = [];
  try {
    const tenants = await Promise.all(Array.from({ length: TENANTS }, (_, n) => createTenant(client, n)));
    const load = (events: number): Promise<LoadFigures> =>
      measureLoad(stack, api.pid, { seconds, events }, (n) => happen(stack, tenants[n % TENANTS]!.id));
    const without = await load(0);
    const memory = await residentBytes(api.pid);
    for (let n = 0; n < streams; n++) readers.push(await openStream(url, tenants[n % TENANTS]!, latenciesMs));
    const bytesEach = ((await residentBytes(api.pid)) - memory) / streams;
    const [idle, busy] = [await load(0), await load(seconds * 10)];
    return {
      streams,
      tenants: TENANTS,
      bytesEach,
      without,
      idle,
      busy,
      latenciesMs: latenciesMs.sort((a, b) => a - b),
    };
  } finally {
    for (const reader of readers) reader.close();
    client.close();
    await api.stop();
  }
}

async function createTenant(client: Client, n: number): Promise<{ id: string; key: string }> {
  const create = async (path: string, body: object) =>
    JSON.parse((await client.request(path, { method: 'POST', body })).body);
  const { id } = (await create('/v1/tenants', { name: `tenant-${n}` })) as { id: string };
  const body = { name: 'bench', tenant_id: id, scopes: ['tenant:read'] };
  const { key } = (await create('/v1/api-keys', body)) as { key: string };
  return { id, key };
}

/** Opens a stream and records the latency of each event, whose name is the time of its commit. */
async function openStream(
  url: string,
  { id: tenantId, key }: { id: string; key: string },
  latenciesMs: number[],
): Promise<Reader> {
  const headers = { authorization: `Bearer ${key}` };
  const request = http.get(`${url}/v1/events/stream`, { headers, agent: false });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  response.setEncoding('utf8').on('data', (text: string) => {
    for (const [, at] of text.matchAll(/"name":"(\d+)"/g)) latenciesMs.push(Date.now() - Number(at));
  });
  response.on('error', () => undefined);
  return { tenantId, close: () => response.destroy() };
}

function happen({ db }: BenchStack, tenantId: string): Promise<void> {
  const data = { name: String(Date.now()) };
  return withTransaction(db, (tx) => recordEvent(tx, { tenantId, type: 'tenant.created', subjectId: tenantId, data }));
}

async function measureLoad(
  stack: BenchStack,
  apiPid: number,
  { seconds, events }: { seconds: number; events: number },
  work: (n: number) => Promise<void>,
): Promise<LoadFigures> {
  const read = async () => ({
    queries: await transactions(stack),
    api: (await cpuMs(apiPid)).own,
    database: await stack.databaseCpuMs(),
  });
  await sleep(COUNTED_MS);
  const before = await read();
  const began = performance.now();
  const end = began + seconds * 1000;
  for (let n = 0; n < events; n++) {
    await work(n);
    await sleep(Math.max(0, (end - performance.now()) / (events - n)));
  }
  await sleep(Math.max(0, end - performance.now()) + COUNTED_MS);
  const after = await read();
  return {
    seconds: (performance.now() - began) / 1000,
    events,
    // Recording an event is a transaction, too.
    queries: after.queries - before.queries - events,
    apiCpuMs: after.api - before.api,
    databaseCpuMs: after.database - before.database,
  };
}
