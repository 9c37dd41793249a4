import { normalQuantile, studentQuantile } from '../../../core/statistics/distributions.ts';
import type { BenchStack } from '../stack.ts';
import type { PolledApi } from './api.ts';
import type { PolledFleet } from './fleet.ts';
import type { Poller } from './mix.ts';

/** What an answer 304 costs beside an answer 200 of the same resource, in processor time of the API and of PostgreSQL. */
export interface UnchangedCost {
  readonly resource: string;
  readonly caller: 'operator' | 'tenant';
  /** Means, in milliseconds a request. */
  readonly changedMs: number;
  readonly unchangedMs: number;
  /** `unchangedMs / changedMs`, and the 95 % interval of the rounds' mean. */
  readonly ratio: { mean: number; low: number; high: number };
}

const ROUNDS = 8;
/** Requests of a batch: enough that the kernel's clock of 10 ms is fine beside its cost. */
const BATCH = { 200: 150, 304: 600 } as const;
/** Requests at the same time. */
const PARALLEL = 4;

/** Asks for the same answer with and without its ETag, in batches by turns. */
export async function compareUnchanged(
  stack: BenchStack,
  api: PolledApi,
  fleet: PolledFleet,
): Promise<UnchangedCost[]> {
  const costs: UnchangedCost[] = [];
  for (const [caller, poller] of [['operator', api.operator] as const, ['tenant', api.tenants[0]!] as const]) {
    const paths = {
      rollout: `/v1/rollouts/${fleet.rolloutId}`,
      'page of jobs': `/v1/jobs?rollout_id=${fleet.rolloutId}`,
      job: `/v1/jobs/${poller.jobs[0]}`,
    };
    for (const [resource, path] of Object.entries(paths)) {
      costs.push({ resource, caller, ...(await compare(stack, api, { poller, path })) });
    }
  }
  return costs;
}

async function compare(stack: BenchStack, api: PolledApi, { poller, path }: { poller: Poller; path: string }) {
  const { etag } = await poller.client.request(path);
  const batch = async (expected: keyof typeof BATCH): Promise<number> => {
    const headers: Record<string, string> = expected === 304 ? { 'if-none-match': etag ?? '' } : {};
    const cost = async () => (await api.cpuMs()) + (await stack.databaseCpuMs());
    const before = await cost();
    let left: number = BATCH[expected];
    const ask = async (): Promise<void> => {
      while (left-- > 0) {
        const { status } = await poller.client.request(path, { headers });
        if (status !== expected) throw new Error(`${path} was answered ${status}, expected ${expected}`);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, ask));
    return ((await cost()) - before) / BATCH[expected];
  };
  await batch(200);
  await batch(304);
  const rounds: { changed: number; unchanged: number }[] = [];
  for (let round = 0; round < ROUNDS; round++) rounds.push({ changed: await batch(200), unchanged: await batch(304) });
  return {
    changedMs: mean(rounds.map(({ changed }) => changed)),
    unchangedMs: mean(rounds.map(({ unchanged }) => unchanged)),
    ratio: interval(rounds.map(({ changed, unchanged }) => unchanged / changed)),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Student's interval of a mean, 95 %. */
function interval(values: readonly number[]): UnchangedCost['ratio'] {
  const center = mean(values);
  const variance = values.reduce((sum, value) => sum + (value - center) ** 2, 0) / (values.length - 1);
  const half = studentQuantile(normalQuantile(0.975), values.length - 1) * Math.sqrt(variance / values.length);
  return { mean: center, low: center - half, high: center + half };
}
