import { normalQuantile, studentQuantile } from '../../../../core/statistics/distributions.ts';
import type { BenchStack } from '../stack.ts';
import type { PolledApi } from './api.ts';
import type { PolledFleet } from './fleet.ts';
import type { Poller } from './mix.ts';

/** Cost of answers to polls of one resource: processor time of the API and PostgreSQL. */
export interface UnchangedCost {
  readonly resource: string;
  readonly caller: 'operator' | 'tenant';
  /** Mean milliseconds of an answer 200 whose body is made for it. */
  readonly madeMs: number;
  /** Mean milliseconds of an answer 200 whose body the API has kept. */
  readonly keptMs: number;
  /** Mean milliseconds of an answer 304. */
  readonly unchangedMs: number;
  /** Mean over the rounds of `unchangedMs / madeMs`, with its 95 % interval. */
  readonly ratio: { mean: number; low: number; high: number };
}

const ROUNDS = 8;
/** Number of requests of a batch: enough for the kernel's clock of 10 ms to be fine beside their cost. */
const BATCH = { made: 150, kept: 600, unchanged: 600 } as const;
/** Number of concurrent requests. */
const PARALLEL = 4;

/** Compares answers that are made, that the API has kept, and that are unchanged (ETag), in batches by turns. */
export async function compareUnchanged(
  stack: BenchStack,
  api: PolledApi,
  fleet: PolledFleet,
): Promise<UnchangedCost[]> {
  const costs: UnchangedCost[] = [];
  for (const [caller, poller] of [['operator', api.operator] as const, ['tenant', api.tenants[0]!] as const]) {
    // The API keeps bodies by URL, so another URL of the same resource has its body made.
    const paths: Record<string, [path: string, another: (n: number) => string]> = {
      rollout: [`/v1/rollouts/${fleet.rolloutId}`, (n) => `?n=${n}`],
      'page of jobs': [`/v1/jobs?rollout_id=${fleet.rolloutId}`, (n) => `&cursor=${afterAll(n)}`],
      job: [`/v1/jobs/${poller.jobs[0]}`, (n) => `?n=${n}`],
    };
    for (const [resource, [path, another]] of Object.entries(paths)) {
      costs.push({ resource, caller, ...(await compare(stack, api, { poller, path, another })) });
    }
  }
  return costs;
}

/** Makes a cursor before the whole list: lists are in descending order of ids, and `job_z` sorts above all of them. */
function afterAll(n: number): string {
  return Buffer.from(`job_z${n}`).toString('base64url');
}

interface Polled {
  poller: Poller;
  path: string;
  another(n: number): string;
}

async function compare(stack: BenchStack, api: PolledApi, { poller, path, another }: Polled) {
  const { etag } = await poller.client.request(path);
  let asked = 0;
  const batch = async (kind: keyof typeof BATCH): Promise<number> => {
    const headers: Record<string, string> = kind === 'unchanged' ? { 'if-none-match': etag ?? '' } : {};
    const expected = kind === 'unchanged' ? 304 : 200;
    const cost = async () => (await api.cpuMs()) + (await stack.databaseCpuMs());
    const before = await cost();
    let left: number = BATCH[kind];
    const ask = async (): Promise<void> => {
      while (left-- > 0) {
        const { status } = await poller.client.request(kind === 'made' ? path + another(asked++) : path, { headers });
        if (status !== expected) throw new Error(`${path} was answered ${status}, expected ${expected}`);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, ask));
    return ((await cost()) - before) / BATCH[kind];
  };
  const round = async () => ({
    made: await batch('made'),
    kept: await batch('kept'),
    unchanged: await batch('unchanged'),
  });
  await round();
  const rounds: Awaited<ReturnType<typeof round>>[] = [];
  for (let number = 0; number < ROUNDS; number++) rounds.push(await round());
  return {
    madeMs: mean(rounds.map(({ made }) => made)),
    keptMs: mean(rounds.map(({ kept }) => kept)),
    unchangedMs: mean(rounds.map(({ unchanged }) => unchanged)),
    ratio: interval(rounds.map(({ made, unchanged }) => unchanged / made)),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Student's 95 % interval of a mean. */
function interval(values: readonly number[]): UnchangedCost['ratio'] {
  const center = mean(values);
  const variance = values.reduce((sum, value) => sum + (value - center) ** 2, 0) / (values.length - 1);
  const half = studentQuantile(normalQuantile(0.975), values.length - 1) * Math.sqrt(variance / values.length);
  return { mean: center, low: center - half, high: center + half };
}
