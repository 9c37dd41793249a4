import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

/** Effect of one attack on the service. */
export interface HealthFigures {
  attack: string;
  grownBytes: number;
  /** Longest time of `/healthz` during the attack. */
  longestHealthMs: number;
}

const ROOT = path.join(import.meta.dirname, '../../..');

/** Runs all attacks of test/attack, one file after the other, and reads the figures that they write. */
export async function measureHealth(): Promise<HealthFigures[]> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-bench-'));
  const file = path.join(folder, 'figures');
  try {
    const args = [
      path.join(ROOT, 'node_modules/vitest/vitest.mjs'),
      'run',
      '--project',
      'attack',
      '--no-file-parallelism',
    ];
    const child = spawn(process.execPath, args, {
      cwd: ROOT,
      env: { ...process.env, READAPT_ATTACK_FIGURES: file },
      stdio: ['ignore', 2, 2],
    });
    const [code] = (await once(child, 'exit')) as [number | null];
    if (code !== 0) throw new Error(`the attacks have ended with ${code}: see above`);
    const lines = (await readFile(file, 'utf8')).trim().split('\n');
    return lines.map((line) => JSON.parse(line) as HealthFigures);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
