import { readdir, readFile } from 'node:fs/promises';

/**
 * Runs some work and measures the processor time of this process meanwhile, over all threads, in milliseconds. Tests
 * bound it rather than wall time, which grows with the machine's other load.
 */
export async function timeProcessor<T>(work: () => T | Promise<T>): Promise<{ result: T; processorMs: number }> {
  const before = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(before);
  return { result, processorMs: (user + system) / 1000 };
}

/** Ticks of `/proc` a second (USER_HZ), which is 100 on Linux. */
const TICK_MS = 10;

/** Processor time of a process, and of its children that have ended, in milliseconds. */
export async function cpuMs(pid: number): Promise<{ own: number; ended: number }> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The name before may hold spaces; the first field after it is the third.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const at = (number: number): number => Number(fields[number - 3]);
  return { own: (at(14) + at(15)) * TICK_MS, ended: (at(16) + at(17)) * TICK_MS };
}

/** Processor time of a process and of all that it has started, in milliseconds. */
export async function familyCpuMs(pid: number): Promise<number> {
  for (;;) {
    const { own, ended } = await cpuMs(pid);
    const living = await Promise.all((await childrenOf(pid)).map((child) => familyCpuMs(child).catch(() => 0)));
    // A child that has ended meanwhile is counted twice or not at all.
    if ((await cpuMs(pid)).ended === ended) return living.reduce((sum, ms) => sum + ms, own + ended);
  }
}

/** The living children of all threads of a process. */
async function childrenOf(pid: number): Promise<number[]> {
  const threads = await readdir(`/proc/${pid}/task`);
  const lists = threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/children`, 'utf8').catch(() => ''));
  return (await Promise.all(lists)).join(' ').split(' ').filter(Boolean).map(Number);
}
