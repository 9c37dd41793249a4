import { execFileSync } from 'node:child_process';
import os from 'node:os';
import { requireFingerprint } from '../../../core/adaptation/evolutions.ts';
import type { BaseCache } from '../../../core/engine/base-cache.ts';
import type { Experiment } from '../config/load-experiment.ts';
import { withoutCheckout } from '../plan/keys.ts';
import type { BaseFingerprint, RunRecord } from '../records.ts';

/**
 * Makes the record of a start of the harness: time, machine, commit, settings and weights. Its paths are relative to
 * the checkout.
 */
export function runRecord(
  config: Experiment,
  conditions: Pick<RunRecord, 'commit' | 'device' | 'precision' | 'threads' | 'bases'>,
): RunRecord {
  const at = new Date().toISOString();
  const [cpu] = os.cpus();
  const memory = Math.round(os.totalmem() / 2 ** 30);
  const machine = `${cpu!.model.trim()}, ${os.cpus().length} cores, ${memory} GiB, Node ${process.version}`;
  return { type: 'run', key: `run ${at}`, ms: 0, at, machine, ...conditions, config: withoutCheckout(config) };
}

/** Computes the fingerprints of all bases. It reads no weights that the engine's cache knows. @throws FormatError */
export async function fingerprintsOf(
  { base, evolutions }: Experiment,
  bases: BaseCache,
): Promise<readonly BaseFingerprint[]> {
  const found: BaseFingerprint[] = [];
  for (const one of [{ name: null, base }, ...evolutions])
    found.push({ name: one.name, fingerprint: await requireFingerprint(one.base, bases) });
  return found;
}

/** Short hash of the checkout's commit, followed by `+` if files were changed. Null outside of a checkout. */
export function checkedOutCommit(): string | null {
  const git = (...args: string[]): string =>
    execFileSync('git', args, {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  try {
    const changes = git('status', '--porcelain', '--untracked-files=no');
    return `${git('rev-parse', '--short', 'HEAD')}${changes === '' ? '' : '+'}`;
  } catch {
    return null;
  }
}
