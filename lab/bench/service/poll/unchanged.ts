import { normalQuantile, studentQuantile } from '../../../../core/statistics/distributions.ts';
import type { BenchStack } from '../stack.ts';
import type { PolledApi } from './api.ts';
import type { PolledFleet } from './fleet.ts';
import type { Poller } from './mix.ts';

/** What answers to a poll of one resource cost, in processor time of the API and of PostgreSQL. */
export interface UnchangedCost {
  readonly resource: string;
  readonly caller: 'operator' | 'tenant';
  /** Means, in milliseconds a request: of an answer 200 that is made, of one that was made before, and of an answer 304. */
  readonly madeMs: number;
  readonly keptMs: number;
  readonly unchangedMs: number;
  /** `unchangedMs / madeMs`, and the 95 % interval of the rounds' mean. */
  readonly ratio: { mean: number; low: number; high: number };
}

const ROUNDS = 8;
/** Requests of a batch: enough that the kernel's clock of 10 ms is fine beside its cost. */
const BATCH = { made: 150, kept: 600, unchanged: 600 } as const;
/** Requests at the same time. */
const PARALLEL = 4;

/** Asks for the same answer as nobody has before, as somebody has, and with its ETag, in batches by turns. */
export async function compareUnchanged(
  stack: BenchStack,
  api: PolledApi,
  fleet: PolledFleet,
): Promise<UnchangedCost[]> {
  const costs: UnchangedCost[] = [];
  for (const [caller, poller] of [['operator', api.operator] as const, ['tenant', api.tenants[0]!] as const]) {
    // The API keeps bodies by address, so another address of the same answer has it made.
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

/** A cursor after which all jobs come, because their identifiers sort before it. */
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

/** Student's interval of a mean, 95 %. */
function interval(values: readonly number[]): UnchangedCost['ratio'] {
  const center = mean(values);
  const variance = values.reduce((sum, value) => sum + (value - center) ** 2, 0) / (values.length - 1);
  const half = studentQuantile(normalQuantile(0.975), values.length - 1) * Math.sqrt(variance / values.length);
  return { mean: center, low: center - half, high: center + half };
}
