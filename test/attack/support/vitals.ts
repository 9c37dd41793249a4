import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { familyCpuMs } from '../../processor-time.ts';
import { compiledModule } from '../../compiled/index.ts';

/** Script that polls `/healthz` in its own process. */
const HEALTH = path.join(import.meta.dirname, 'health-process.ts');

export interface Vitals {
  /** Peak memory of the process since its start, in bytes. */
  readonly peakBytes: number;
  /** Peak memory during the work, above the level before it, in bytes. */
  readonly grownBytes: number;
  /** Longest answer time of `GET /healthz`, which shows how long the event loop was blocked. */
  readonly longestHealthMs: number;
  /** Processor time of the process and its children during the work. */
  readonly processorMs: number;
}

const PAUSE_MS = 10;

/** Watches a process's memory and polls its `/healthz` while some work runs. Reads /proc, so it needs Linux. */
export async function watchVitals<T>(
  process: { origin: string; pid: number },
  work: () => Promise<T>,
): Promise<{ result: T; vitals: Vitals }> {
  const poller = fork(compiledModule(HEALTH), [process.origin], { execArgv: [] });
  try {
    await answerOf(poller);
    const processorMs = await familyCpuMs(process.pid);
    const { result, ...memory } = await watchMemory(process.pid, work);
    poller.send('how long?');
    const longestHealthMs = await answerOf(poller);
    const vitals = { ...memory, longestHealthMs, processorMs: (await familyCpuMs(process.pid)) - processorMs };
    return { result, vitals };
  } finally {
    poller.disconnect();
  }
}

/** Waits for the poller's next number. */
async function answerOf(poller: ChildProcess): Promise<number> {
  const ended = once(poller, 'exit').then(() => {
    throw new Error('the poller of /healthz has ended: /healthz was not answered');
  });
  const [ms] = (await Promise.race([once(poller, 'message'), ended])) as [number];
  return ms;
}

async function watchMemory<T>(
  pid: number,
  work: () => Promise<T>,
): Promise<{ result: T; peakBytes: number; grownBytes: number }> {
  const before = await memoryOf(pid);
  let mostBytes = before.resident;
  let running = true;
  const polling = (async () => {
    while (running) {
      mostBytes = Math.max(mostBytes, (await memoryOf(pid)).resident);
      await sleep(PAUSE_MS);
    }
  })();
  try {
    const result = await work();
    running = false;
    await polling;
    const { peak } = await memoryOf(pid);
    // The kernel's peak is exact but counts from the start of the process.
    if (peak > before.peak) mostBytes = Math.max(mostBytes, peak);
    return { result, peakBytes: peak, grownBytes: mostBytes - before.resident };
  } finally {
    running = false;
    await polling.catch(() => undefined);
  }
}

async function memoryOf(pid: number): Promise<{ resident: number; peak: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const kibibytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]);
  return { resident: kibibytes('VmRSS') * 1024, peak: kibibytes('VmHWM') * 1024 };
}
