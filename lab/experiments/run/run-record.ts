import { execFileSync } from 'node:child_process';
import os from 'node:os';
import { requireFingerprint } from '../../../core/adaptation/evolutions.ts';
import type { BaseCache } from '../../../core/engine/base-cache.ts';
import type { Experiment } from '../config/load-experiment.ts';
import { withoutCheckout } from '../plan/keys.ts';
import type { BaseFingerprint, RunRecord } from '../records.ts';

/**
 * Describes a start of the harness: when, where, at which commit, with which settings and on which weights. What is kept of it says nothing
 * of where the checkout lies.
 */
export function runRecord(
  config: Experiment,
  conditions: Pick<RunRecord, 'commit' | 'device' | 'precision' | 'threads' | 'bases'>,
): RunRecord {
  const at = new Date().toISOString();
  const [cpu] = os.cpus();
  const machine = `${cpu!.model.trim()}, ${os.cpus().length} cores, ${Math.round(os.totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
  return { type: 'run', key: `run ${at}`, ms: 0, at, machine, ...conditions, config: withoutCheckout(config) };
}

/** Reads the weights of all bases, unless their files are known to the engine's cache. @throws FormatError */
export async function fingerprintsOf(
  { base, evolutions }: Experiment,
  bases: BaseCache,
): Promise<readonly BaseFingerprint[]> {
  const found: BaseFingerprint[] = [];
  for (const one of [{ name: null, base }, ...evolutions])
    found.push({ name: one.name, fingerprint: await requireFingerprint(one.base, bases) });
  return found;
}

/** Short hash of the checkout's commit, followed by `+` if files were changed; null outside of a checkout. */
export function checkedOutCommit(): string | null {
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
