import { createJobProducer, createQueueBackend, type JobEntry } from '../../src/jobs/index.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { createClient } from './client.ts';
import { createAnalyzed, createFleet } from './fleet.ts';
import { startProcess, type BenchStack } from './stack.ts';

export interface PlanFigures {
  adapters: number;
  /** Times of the POSTs, in milliseconds, in order. */
  acceptedMs: number[];
  /** Time in which the jobs were inserted, with their events and the outbox. */
  plannedMs: number;
  /** Time in which the queue was given them after that. */
  enqueuedMs: number;
}

/** Number of POSTs that are timed. The first ones, which compile programs, are left out. */
const POSTS = 40;
const WARM_UP = 5;

/** Accepts rollouts of a fleet, and plans one. @returns its jobs, which are in the queue */
export async function measurePlan(
  stack: BenchStack,
  redisUrl: string | null,
  adapters: number,
): Promise<{ figures: PlanFigures; entries: JobEntry[] }> {
  const { db } = stack;
  const { newVersionId } = await createFleet(db, adapters);
  const acceptedMs = await acceptRollouts(stack, redisUrl, newVersionId);
  const logger = createLogger({ level: 'warn', pretty: false });
  const backend = createQueueBackend({ databaseUrl: stack.databaseUrl, redisUrl });
  const producer = await createJobProducer({ db, backend, logger });
  try {
    const { lifecycle, request } = await createAnalyzed(db, newVersionId);
    const began = performance.now();
    const entries = await lifecycle.plan(request, new Map());
    const planned = performance.now();
    if (entries?.length !== adapters) throw new Error(`planned ${entries?.length ?? 0} jobs, expected ${adapters}`);
    await producer.enqueue(entries);
    const enqueued = performance.now();
    return { figures: { adapters, acceptedMs, plannedMs: planned - began, enqueuedMs: enqueued - planned }, entries };
  } finally {
    await producer.close();
  }
}

async function acceptRollouts(stack: BenchStack, redisUrl: string | null, versionId: string): Promise<number[]> {
  const api = startProcess('api-process.ts', apiEnvironment(stack, redisUrl));
  try {
    const { url, key } = await api.next<{ url: string; key: string }>();
    const client = createClient(url, key);
    const times: number[] = [];
    for (let post = 0; post < POSTS; post++) {
      const began = performance.now();
      const answer = await client.request('/v1/rollouts', {
        method: 'POST',
        body: { base_model_version_id: versionId },
      });
      times.push(performance.now() - began);
      if (answer.status !== 202) throw new Error(`a rollout was not accepted: ${answer.body}`);
      const { id } = JSON.parse(answer.body) as { id: string };
      await client.request(`/v1/rollouts/${id}/cancel`, { method: 'POST' });
    }
    client.close();
    return times.slice(WARM_UP).sort((a, b) => a - b);
  } finally {
    await api.stop();
    await stack.db.apiKey.deleteMany();
  }
}

/** The settings of an API beside a stack. */
function apiEnvironment(stack: BenchStack, redisUrl: string | null): Record<string, string> {
  return {
    READAPT_HOST: '127.0.0.1',
    READAPT_PORT: '0',
    READAPT_DATA_DIR: `${stack.folder}/api`,
    DATABASE_URL: stack.databaseUrl,
    REDIS_URL: redisUrl ?? '',
    READAPT_LOG_LEVEL: 'warn',
    READAPT_RATE_LIMIT_PER_MINUTE: '10000000',
  };
}
