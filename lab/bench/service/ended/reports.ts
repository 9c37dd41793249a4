import { apiEnvironment } from '../plan.ts';
import { createClient } from '../client.ts';
import { startProcess, type BenchStack } from '../stack.ts';
import { createEndedFleet } from './ended-fleet.ts';

/** Times of reports on one rollout, in milliseconds, sorted. */
export interface ReportsFigures {
  readonly adapters: number;
  /** Times from the request to the end of the answer, by path. */
  readonly times: Readonly<Record<string, readonly number[]>>;
  /** Longest time for which each report blocked the API's event loop, by path. */
  readonly stalls: Readonly<Record<string, readonly number[]>>;
}

const ROUNDS = 10;
// The API caches reports until something changes, except for exports.
const PATHS = ['/rollouts/{id}/report/export', '/reports/ttr?group_by=tenant'];

export async function measureReports(
  stack: BenchStack,
  redisUrl: string | null,
  adapters: number,
): Promise<ReportsFigures> {
  const id = await createEndedFleet(stack, { adapters, open: 0 });
  const api = startProcess('processes/watched-api-process.ts', apiEnvironment(stack, redisUrl));
  try {
    const { url, key } = await api.next<{ url: string; key: string }>();
    const client = createClient(url, key);
    const times: Record<string, number[]> = {};
    const stalls: Record<string, number[]> = {};
    for (const path of PATHS) {
      const [took, held]: [number[], number[]] = [[], []];
      for (let round = 0; round <= ROUNDS; round++) {
        api.send({ watch: true });
        await api.next();
        const began = performance.now();
        const { status, body } = await client.request(`/v1${path.replace('{id}', id)}`);
        const ms = performance.now() - began;
        if (status !== 200) throw new Error(`GET ${path} answered ${status}: ${body}`);
        api.send({ watch: false });
        const { longestMs } = await api.next<{ longestMs: number }>();
        // The first answer warms up the service.
        if (round === 0) continue;
        took.push(ms);
        held.push(longestMs);
      }
      times[path] = took.sort((a, b) => a - b);
      stalls[path] = held.sort((a, b) => a - b);
    }
    client.close();
    return { adapters, times, stalls };
  } finally {
    await api.stop();
  }
}
