import { createClient } from './client.ts';
import { createFleet } from './fleet.ts';
import { startProcess, type BenchStack } from './stack.ts';

export interface PlanFigures {
  adapters: number;
  /** Times of the POSTs, in milliseconds, in order. */
  acceptedMs: number[];
  /** Time in which the jobs were inserted, with their events, and given to the queue. */
  plannedMs: number;
  /** Processor time of PostgreSQL meanwhile, with that of the queue if it is there. */
  databaseCpuMs: number;
  /** Processor time of the process that plans. */
  plannerCpuMs: number;
  /** Peak memory of that process, and by how much it was higher than before the planning. */
  peakMiB: number;
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

/** Number of POSTs that are timed. The first ones, which compile programs, are left out. */
const POSTS = 40;
const WARM_UP = 5;

/** Accepts rollouts of a fleet, and plans one, whose jobs are in the queue then. */
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

/** The settings of an API beside a stack. */
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
