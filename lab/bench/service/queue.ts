import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { startProcess, type BenchStack } from './stack.ts';

export interface QueueFigures {
  jobs: number;
  workers: number;
  seconds: number;
  /** Jobs that no worker has run. */
  lost: number;
  /** Jobs that were run more than once. */
  repeated: number;
  databaseCpuMs: number;
  workersCpuMs: number;
}

/** Time without progress after which the remaining jobs count as lost, in milliseconds. */
const PATIENCE_MS = 15_000;

/** Lets worker processes run jobs that do nothing, and counts lost and repeated ones. */
export async function measureQueue(
  stack: BenchStack,
  redisUrl: string | null,
  { ids, workers }: { ids: readonly string[]; workers: number },
): Promise<QueueFigures> {
  const files = Array.from({ length: workers }, (_, index) => path.join(stack.folder, `ran-${index}`));
  const databaseBefore = await stack.databaseCpuMs();
  const began = performance.now();
  const processes = files.map((file) =>
    startProcess('processes/queue-process.ts', {}, [file, stack.databaseUrl, redisUrl ?? '']),
  );
  await Promise.all(processes.map((one) => one.next()));
  let ran: string[] = [];
  let changed = performance.now();
  while (ran.length < ids.length && performance.now() - changed < PATIENCE_MS) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const now = (await Promise.all(files.map(readLines))).flat();
    if (now.length > ran.length) changed = performance.now();
    ran = now;
  }
  const seconds = (changed - began) / 1000;
  const cpu = await Promise.all(processes.map((one) => one.cpuMs()));
  const databaseCpuMs = (await stack.databaseCpuMs()) - databaseBefore;
  await Promise.all(processes.map((one) => one.stop()));
  // A job may be repeated after the last one has run.
  ran = (await Promise.all(files.map(readLines))).flat();
  const distinct = new Set(ran);
  return {
    jobs: ids.length,
    workers,
    seconds,
    lost: ids.filter((id) => !distinct.has(id)).length,
    repeated: ran.length - distinct.size,
    databaseCpuMs,
    workersCpuMs: cpu.reduce((sum, one) => sum + one, 0),
  };
}

async function readLines(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').slice(0, -1);
}
