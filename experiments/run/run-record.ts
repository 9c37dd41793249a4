import { execFileSync } from 'node:child_process';
import os from 'node:os';
import type { Experiment } from '../config/load-experiment.ts';
import type { RunRecord } from '../records.ts';

/** Describes a start of the harness: when, where, at which commit and with which settings. */
export function runRecord(config: Experiment, engine: Pick<RunRecord, 'device' | 'precision' | 'threads'>): RunRecord {
  const at = new Date().toISOString();
  const [cpu] = os.cpus();
  const machine = `${cpu!.model.trim()}, ${os.cpus().length} cores, ${Math.round(os.totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
  return { type: 'run', key: `run ${at}`, ms: 0, at, commit: commit(), machine, ...engine, config };
}

function commit(): string | null {
  const git = (...args: string[]): string =>
    execFileSync('git', args, {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  try {
    return `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain', '--untracked-files=no') === '' ? '' : '+'}`;
  } catch {
    return null;
  }
}
