import { randomUUID } from 'node:crypto';
import { createQueueProducer, createQueueBackend, createSweeper } from '../../../src/platform/queue/index.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { createJobLifecycle } from '../../../src/fleet/job-control/job-lifecycle.ts';
import { jobRecoverySource } from '../../../src/fleet/rollouts/order/job-recovery.ts';
import type { JobProgress } from '../../../src/fleet/job-control/job-lifecycle.repository.ts';
import { rolloutRecoverySource } from '../../../src/fleet/rollouts/index.ts';
import { createClient } from './client.ts';
import { apiEnvironment } from './plan.ts';
import { startProcess, type BenchStack } from './stack.ts';

/** Times in milliseconds by operation, sorted. */
export interface FleetFigures {
  adapters: number;
  times: Record<string, number[]>;
}

/** Number of times that a fast operation is timed. */
const ROUNDS = 40;
const PROGRESS: JobProgress = {
  step: 1,
  totalSteps: 2,
  metricTarget: null,
  metricOld: null,
  metricNone: null,
  metricCopy: null,
  metricBest: null,
};

type Client = ReturnType<typeof createClient>;

/** Times operations on a planned rollout: sweeps, claims, ends of jobs, reads and the cancellation. */
export async function measureFleet(
  stack: BenchStack,
  redisUrl: string | null,
  { rolloutId, adapters }: { rolloutId: string; adapters: number },
): Promise<FleetFigures> {
  const api = startProcess('processes/api-process.ts', apiEnvironment(stack, redisUrl));
  try {
    const { url, key } = await api.next<{ url: string; key: string }>();
    const client = createClient(url, key);
    const times = {
      'sweep that finds nothing': await sweeps(stack, redisUrl),
      ...(await jobSteps(stack, rolloutId, client)),
      ...(await lists(client, rolloutId)),
      ...(await cancellation(client, rolloutId)),
    };
    client.close();
    for (const values of Object.values(times)) values.sort((a, b) => a - b);
    return { adapters, times };
  } finally {
    await api.stop();
    await stack.db.apiKey.deleteMany();
  }
}

async function sweeps(stack: BenchStack, redisUrl: string | null): Promise<number[]> {
  const logger = createLogger({ level: 'warn', pretty: false });
  const backend = createQueueBackend({ databaseUrl: stack.databaseUrl, redisUrl });
  const producer = await createQueueProducer({ db: stack.db, backend, logger });
  const sources = [rolloutRecoverySource(stack.db), jobRecoverySource(stack.db)];
  const sweeper = createSweeper({ db: stack.db, producer, sources, logger });
  try {
    // The first sweep enqueues the rollouts of the POSTs and of the planning, which no worker has taken.
    await sweeper.sweep();
    return await repeated(ROUNDS, () => sweeper.sweep());
  } finally {
    await producer.close();
  }
}

/** Times a worker's updates of a job, and a read of the rollout right after the job's end. */
async function jobSteps(stack: BenchStack, rolloutId: string, client: Client): Promise<Record<string, number[]>> {
  const lifecycle = createJobLifecycle({ db: stack.db });
  const jobs = await stack.db.job.findMany({ where: { rolloutId }, take: ROUNDS, select: { id: true } });
  const times: Record<string, number[]> = {
    claim: [],
    heartbeat: [],
    'end of a job': [],
    'GET of the rollout, a job later': [],
  };
  for (const { id } of jobs) {
    const lease = { jobId: id, owner: randomUUID() };
    times.claim?.push(await timed(() => lifecycle.claim(lease)));
    for (let beat = 0; beat < 3; beat++) times.heartbeat?.push(await timed(() => lifecycle.heartbeat(lease, PROGRESS)));
    times['end of a job']?.push(await timed(() => lifecycle.end(lease, rolloutId, { state: 'not_ready' })));
    times['GET of the rollout, a job later']?.push(await timed(() => get(client, `/v1/rollouts/${rolloutId}`)));
  }
  return times;
}

async function lists(client: Client, rolloutId: string): Promise<Record<string, number[]>> {
  const times: Record<string, number[]> = {};
  for (const path of [
    '/v1/rollouts/{id}',
    '/v1/rollouts',
    '/v1/jobs',
    '/v1/jobs?rollout_id={id}',
    '/v1/jobs?rollout_id={id}&state=queued',
    '/v1/jobs?changed_after=0',
    '/v1/events',
  ])
    times[`GET ${path}`] = await repeated(ROUNDS, () => get(client, path.replace('{id}', rolloutId)));
  return times;
}

/** Cancels the rollout, and reads it meanwhile. */
async function cancellation(client: Client, rolloutId: string): Promise<Record<string, number[]>> {
  const reads: number[] = [];
  let going = true;
  const cancelling = timed(() => client.request(`/v1/rollouts/${rolloutId}/cancel`, { method: 'POST' })).finally(
    () => (going = false),
  );
  while (going) reads.push(await timed(() => get(client, `/v1/rollouts/${rolloutId}`)));
  return { 'cancellation of the rollout': [await cancelling], 'GET of the rollout meanwhile': reads };
}

async function get(client: Client, path: string): Promise<void> {
  const { status, body } = await client.request(path);
  if (status !== 200) throw new Error(`GET ${path} answered ${status}: ${body}`);
}

async function repeated(rounds: number, work: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) times.push(await timed(work));
  return times;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}
