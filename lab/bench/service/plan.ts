import { createClient } from './client.ts';
import { createFleet } from './fleet.ts';
import { startProcess, type BenchStack } from './stack.ts';

export interface PlanFigures {
  adapters: number;
  /** Times of the POSTs, in milliseconds, sorted. */
  acceptedMs: number[];
  /** Milliseconds in which the jobs were inserted with their events, and enqueued. */
  plannedMs: number;
  /** Processor time of PostgreSQL meanwhile, including the queue if PostgreSQL holds it. */
  databaseCpuMs: number;
  /** Processor time of the planning process. */
  plannerCpuMs: number;
  /** Peak memory of the planning process. */
  peakMiB: number;
  /** Growth of its peak memory during the planning. */
  grownMiB: number;
}

interface Planned {
  rolloutId: string;
  jobs: number | null;
  ms: number;
  cpuMs: number;
  grownMiB: number;
  peakMiB: number;
}

/** Number of POSTs. The first `WARM_UP` of them are not counted. */
const POSTS = 40;
const WARM_UP = 5;

/** Accepts rollouts of a fleet, and plans one of them, whose jobs it enqueues. */
export async function measurePlan(
  stack: BenchStack,
  redisUrl: string | null,
  adapters: number,
): Promise<{ figures: PlanFigures; rolloutId: string }> {
  const { newVersionId } = await createFleet(stack.db, adapters);
  const acceptedMs = await acceptRollouts(stack, redisUrl, newVersionId);
  const planner = startProcess('processes/plan-process.ts', {}, [newVersionId, stack.databaseUrl, redisUrl ?? '']);
  await planner.next();
  const before = await stack.databaseCpuMs();
  planner.send({ plan: true });
  const { rolloutId, jobs, ms, cpuMs, ...memory } = await planner.next<Planned>();
  const databaseCpuMs = (await stack.databaseCpuMs()) - before;
  await planner.stop();
  if (jobs !== adapters) throw new Error(`planned ${jobs} jobs, expected ${adapters}`);
  return { figures: { adapters, acceptedMs, plannedMs: ms, databaseCpuMs, plannerCpuMs: cpuMs, ...memory }, rolloutId };
}

async function acceptRollouts(stack: BenchStack, redisUrl: string | null, versionId: string): Promise<number[]> {
  const api = startProcess('processes/api-process.ts', apiEnvironment(stack, redisUrl));
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

/** Settings of an API on the database of a stack. */
export function apiEnvironment(stack: BenchStack, redisUrl: string | null): Record<string, string> {
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
