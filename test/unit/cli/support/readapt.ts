import { vi } from 'vitest';
import { main } from '../../../../cli/main.ts';

export interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Document that a command prints with `--json`. Type `never` fits any type that an assertion wants. */
export type JsonDocument = Record<'differences' | 'loss' | 'validation', never> & Record<string, never>;

/** Runs a command line in this process. */
export async function readapt(...args: string[]): Promise<Run> {
  const written = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((stream) =>
    vi.spyOn(process[stream], 'write').mockImplementation((text) => ((written[stream] += String(text)), true)),
  );
  try {
    return { code: await main(args), ...written };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

/** Runs a command with `--json` on one thread. Stdout must be exactly one document. */
export async function readaptJson(
  ...args: string[]
): Promise<{ code: number; stderr: string; document: JsonDocument }> {
  const { code, stdout, stderr } = await readapt(...args, '--json', '--threads', '1');
  return { code, stderr, document: JSON.parse(stdout) as JsonDocument };
}
