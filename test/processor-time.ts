/**
 * Does some work and returns the processor time of this process meanwhile, all of its threads together, in milliseconds. Tests bound it in
 * place of the time that passes, which grows with whatever else the machine does.
 */
export async function timeProcessor<T>(work: () => T | Promise<T>): Promise<{ result: T; processorMs: number }> {
  const before = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(before);
  return { result, processorMs: (user + system) / 1000 };
}
