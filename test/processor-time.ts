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
