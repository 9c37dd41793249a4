import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Vitals {
  /** Most memory that the process has held since it was started. */
  readonly peakBytes: number;
  /** Most memory that the process held meanwhile, above what it held before. */
  readonly grownBytes: number;
  /** Longest time that `GET /healthz` took, which is how long the event loop was kept from answering. */
  readonly longestHealthMs: number;
}

const PAUSE_MS = 10;

/** Watches the memory of a process and polls its `/healthz` while some work runs. It reads /proc and needs Linux. */
export async function watchVitals<T>(
  process: { origin: string; pid: number },
  work: () => Promise<T>,
): Promise<{ result: T; vitals: Vitals }> {
  const before = await memoryOf(process.pid);
  let longestHealthMs = 0;
  let peakBytes = before.resident;
  let running = true;
  const polling = (async () => {
    while (running) {
      const asked = performance.now();
      const response = await fetch(`${process.origin}/healthz`);
      await response.arrayBuffer();
      if (response.status !== 200) throw new Error(`/healthz answered ${response.status}`);
      longestHealthMs = Math.max(longestHealthMs, performance.now() - asked);
      peakBytes = Math.max(peakBytes, (await memoryOf(process.pid)).resident);
      await sleep(PAUSE_MS);
    }
  })();
  try {
    const result = await work();
    running = false;
    await polling;
    const { peak } = await memoryOf(process.pid);
    // The kernel's peak is exact, but counts from the start of the process.
    if (peak > before.peak) peakBytes = Math.max(peakBytes, peak);
    return { result, vitals: { peakBytes: peak, grownBytes: peakBytes - before.resident, longestHealthMs } };
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
