import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../../core/statistics/random.ts';
import {
  listRollouts,
  pauseRollout,
  resumeRollout,
  type Rollout,
} from '../../../openapi/clients/typescript/src/index.ts';
import { retryingClient } from '../../../cli/demo/register-fleet.ts';
import { FAKETIME, NO_FAKETIME } from './faketime.ts';
import { postNewerVersion } from './newer-version.ts';
import { childrenOf, signal, type SupervisedProcess } from './processes.ts';
import { until, type FaultStack } from './stack.ts';
import { killDelivering } from './webhooks.ts';

/** Fault to inject. It resolves when the fault is over. */
interface Fault {
  readonly name: string;
  run(stack: FaultStack, random: Random): Promise<void>;
}

/**
 * Shortest and longest time that something is stopped or full, in milliseconds: the range is both below and above a
 * job's lease.
 */
const STOPPED_MS = [500, 5000] as const;

/** Faults possible on this machine, and the reasons for skipping the others. */
export function possibleFaults(stack: FaultStack): { faults: Fault[]; skipped: string[] } {
  const targets: Record<string, (random: Random) => number[] | Promise<number[]>> = {
    api: () => [stack.api.pid],
    worker: (random) => [oneOf(stack.workers, random).pid],
    'training process': async (random) => childrenOf(oneOf(stack.workers, random).pid, 'training/process'),
    PostgreSQL: () => stack.postgres(),
  };
  const { redis } = stack;
  if (redis !== null) targets.Redis = () => [redis.pid];
  const faults = Object.entries(targets).flatMap(([name, pidsOf]): Fault[] => [
    // The first process is the parent of the others, which end with it.
    { name: `kill -9 ${name}`, run: async (_, random) => void (await pidsOf(random)).slice(0, 1).map(kill) },
    { name: `stop ${name}`, run: async (_, random) => pause(await pidsOf(random), random) },
  ]);
  faults.push({ name: 'cut connections', run: cutConnections });
  faults.push({ name: 'pause and resume', run: pauseRollouts });
  faults.push({ name: 'newer version', run: postNewerVersion });
  faults.push({ name: 'kill -9 API that delivers webhooks', run: (running) => killDelivering(running, kill) });
  const skipped: string[] = [];
  if (stack.disk) faults.push({ name: 'full disk', run: fillDisk });
  else skipped.push('full disk: this process may not mount a tmpfs (it needs root)');
  if (FAKETIME !== '') faults.push({ name: 'clock jumps', run: jumpClock });
  else skipped.push(`a clock that jumps: ${NO_FAKETIME}`);
  if (redis === null) skipped.push('Redis: the queue is in PostgreSQL (--queue redis)');
  return { faults, skipped };
}

export function oneOf<T>(items: readonly T[], random: Random): T {
  return items[random.integer(items.length)]!;
}

function kill(pid: number): void {
  signal(pid, 'SIGKILL');
}

async function pause(pids: readonly number[], random: Random): Promise<void> {
  for (const pid of pids) signal(pid, 'SIGSTOP');
  await sleep(duration(random));
  for (const pid of pids) signal(pid, 'SIGCONT');
}

/** Pauses running rollouts through the API and resumes them. */
async function pauseRollouts({ origin, operatorKey }: FaultStack, random: Random): Promise<void> {
  const client = retryingClient(origin, operatorKey);
  const each = (from: readonly Rollout['state'][], change: typeof pauseRollout) => async (): Promise<boolean> => {
    const { data } = await listRollouts({ client, query: { limit: 20 } });
    for (const { id, state } of data) if (from.includes(state)) await change({ client, path: { id } });
    return true;
  };
  await until('rollouts are paused', each(['planning', 'analyzing', 'adapting'], pauseRollout));
  await sleep(duration(random));
  await until('rollouts are resumed', each(['paused'], resumeRollout));
}

function duration(random: Random): number {
  const [shortest, longest] = STOPPED_MS;
  return shortest + random.uniform() * (longest - shortest);
}

/** Ends all database sessions, as a failover does. */
async function cutConnections({ db }: FaultStack): Promise<void> {
  await db.$queryRaw`
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database()
      AND pid <> pg_backend_pid()`.catch(() => undefined);
}

async function fillDisk({ dataDir }: FaultStack, random: Random): Promise<void> {
  const ballast = path.join(dataDir, 'ballast');
  const handle = openSync(ballast, 'w');
  try {
    for (const size of [1 << 20, 4096, 1]) fill(handle, Buffer.alloc(size));
  } finally {
    closeSync(handle);
  }
  await sleep(duration(random));
  rmSync(ballast);
}

function fill(handle: number, block: Buffer): void {
  try {
    for (;;) writeSync(handle, block);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}

/** Restarts a worker (rarely both) with a clock hours ahead or behind, and later with the right clock. */
async function jumpClock({ workers }: FaultStack, random: Random): Promise<void> {
  const jumping: readonly SupervisedProcess[] = random.uniform() < 0.2 ? workers : [oneOf(workers, random)];
  const hours = 1 + random.integer(48);
  const shift = `${random.uniform() < 0.5 ? '-' : '+'}${hours}h`;
  await Promise.all(jumping.map((worker) => worker.restart(['env', `LD_PRELOAD=${FAKETIME}`, `FAKETIME=${shift}`])));
  await sleep(duration(random));
  await Promise.all(jumping.map((worker) => worker.restart([])));
}
