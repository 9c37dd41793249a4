import { apiEnvironment } from '../plan.ts';
import { createClient } from '../client.ts';
import { startProcess, type BenchStack } from '../stack.ts';
import { createEndedFleet } from './ended-fleet.ts';

/** What a report of one rollout takes. Times in milliseconds, in order. */
export interface ReportsFigures {
  readonly adapters: number;
  /** From the request to the whole answer, by what was asked for. */
  readonly times: Readonly<Record<string, readonly number[]>>;
  /** The longest time for which the API's event loop was held, of each report. */
  readonly stalls: Readonly<Record<string, readonly number[]>>;
}

const ROUNDS = 10;
// What has not changed since the last request is not computed anew, unless it is exported.
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
        // The first answer compiles the program.
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
