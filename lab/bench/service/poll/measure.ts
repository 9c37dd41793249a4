import type { BenchStack } from '../stack.ts';
import { startPolledApi, type PolledApi } from './api.ts';
import { createPolledFleet, type PolledFleet } from './fleet.ts';
import { drawPolls, KINDS, poll, type Kind, type Poll } from './mix.ts';
import { sendAtRate, type Sample } from './open-loop.ts';
import { compareUnchanged, type UnchangedCost } from './unchanged.ts';
import { startTraining, writeAsWorker } from './worker.ts';

export interface PollOptions {
  /** Number of jobs. */
  readonly jobs: number;
  /** Requests a second. */
  readonly rate: number;
  readonly seconds: number;
}

export interface PollFigures extends PollOptions {
  /** Requests answered a second. */
  readonly achieved: number;
  readonly kinds: { readonly kind: Kind; readonly latenciesMs: number[]; readonly statuses: Record<string, number> }[];
  /** Processor time during the load, in milliseconds. */
  readonly cpu: { api: number; database: number; training: number; load: number };
  readonly unchanged: UnchangedCost[];
}

/** Duration of the warm-up, whose requests are not counted: they fill pools and caches. */
const WARM_UP_SECONDS = 5;

/**
 * Polls a fleet at a fixed rate beside a training and a worker's writes, and then compares answers 304 with answers
 * 200.
 */
export async function measurePolling(stack: BenchStack, options: PollOptions): Promise<PollFigures> {
  const fleet = await createPolledFleet(stack.db, options.jobs);
  const api = await startPolledApi(stack, fleet);
  try {
    const load = await underLoad(stack, api, fleet, options);
    return { ...options, ...load, unchanged: await compareUnchanged(stack, api, fleet) };
  } finally {
    await api.stop();
  }
}

async function underLoad(
  stack: BenchStack,
  api: PolledApi,
  fleet: PolledFleet,
  { rate, seconds }: PollOptions,
): Promise<Pick<PollFigures, 'achieved' | 'kinds' | 'cpu'>> {
  const training = await startTraining(stack);
  const worker = writeAsWorker(stack.db, fleet);
  try {
    const next = drawPolls(api, fleet);
    await sendAtRate({ rate, seconds: WARM_UP_SECONDS, next, send: poll });
    const read = async () => ({
      api: await api.cpuMs(),
      database: await stack.databaseCpuMs(),
      training: await training.cpuMs(),
      load: (process.cpuUsage().user + process.cpuUsage().system) / 1000,
    });
    const [before, began] = [await read(), performance.now()];
    const samples = await sendAtRate({ rate, seconds, next, send: poll });
    const [after, took] = [await read(), performance.now() - began];
    const cpu = {
      api: after.api - before.api,
      database: after.database - before.database,
      training: after.training - before.training,
      load: after.load - before.load,
    };
    return { achieved: (samples.length * 1000) / took, kinds: byKind(samples), cpu };
  } finally {
    await worker.stop();
    await training.stop();
  }
}

function byKind(samples: readonly Sample<Poll>[]): PollFigures['kinds'] {
  return KINDS.map((kind) => {
    const own = samples.filter(({ operation }) => operation.kind === kind);
    const statuses: Record<string, number> = {};
    for (const { status } of own) statuses[status] = (statuses[status] ?? 0) + 1;
    return { kind, latenciesMs: own.map(({ latencyMs }) => latencyMs).sort((a, b) => a - b), statuses };
  });
}
