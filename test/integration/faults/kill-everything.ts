import path from 'node:path';
import { expect } from 'vitest';
import { eventually } from '../queue/test-queue.ts';
import { isAlive, killProcess, postmasterOf, processesOf } from '../stack/readapt.ts';

/** What a machine does that loses its power, except that its disk keeps what was not synced. */
export async function killEverything(folder: string): Promise<void> {
  const postmaster = await postmasterOf(path.join(folder, 'data'));
  const running = await processesOf(folder);
  const commands = running.map(({ command }) => command).join('\n');
  for (const part of [/readapt\.js serve/, /readapt\.js worker/, /training\/process/, /watchdog/])
    expect(commands).toMatch(part);
  for (const { pid } of running) killProcess(pid, 'SIGKILL');
  await eventually('nothing of it is left', async () => (await processesOf(folder)).length === 0);
  expect(await isAlive(postmaster)).toBe(false);
}
