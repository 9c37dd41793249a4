import { UsageError } from '../../cli/errors.ts';
import type { Experiment } from '../config/load-experiment.ts';
import type { BaseFingerprint, ResultRecord, RunRecord } from '../records.ts';

/** What all parts of a blind experiment have to have in common. */
const SAME = ['commit', 'machine', 'threads', 'device', 'precision'] as const;

/**
 * Refuses a run whose results would not belong to those before it in the same folder: other weights under the same name, and in
 * a blind experiment another commit, machine or engine, or a checkout with local changes.
 * @param records what the folder has
 * @throws UsageError naming what differs
 */
export function requireSameConditions(experiment: Experiment, run: RunRecord, records: readonly ResultRecord[]): void {
  const runs = records.filter((record) => record.type === 'run');
  const problems = [...otherWeights(run, runs), ...(experiment.blind ? otherConditions(run, runs) : [])];
  if (problems.length === 0) return;
  throw new UsageError([`${experiment.name} cannot go on:`, ...problems.map((line) => `  ${line}`)].join('\n'));
}

function otherWeights({ bases = [] }: RunRecord, runs: readonly RunRecord[]): string[] {
  const known = new Map(runs.flatMap((run) => (run.bases ?? []).map((one) => [one.name, one.fingerprint])));
  return bases
    .filter(({ name, fingerprint }) => (known.get(name) ?? fingerprint) !== fingerprint)
    .map((one) => {
      const before = known.get(one.name)!.slice(0, 12);
      return `${named(one)} has other weights (${one.fingerprint.slice(0, 12)}) than in the runs before (${before}); take another --out`;
    });
}

function named({ name }: BaseFingerprint): string {
  return name === null ? 'the base' : `the evolution ${name}`;
}

/** The first run of the same experiment decides: one folder may have the results of several. */
function otherConditions(run: RunRecord, runs: readonly RunRecord[]): string[] {
  const first = runs.find(({ config }) => nameIn(config) === nameIn(run.config));
  const changed = run.commit?.endsWith('+')
    ? [`the checkout has local changes (${run.commit}), and the experiment is blind: commit or undo them`]
    : [];
  const differing = SAME.filter((what) => first !== undefined && first[what] !== run[what]);
  return [
    ...changed,
    ...differing.map(
      (what) => `${what} is ${run[what]}, expected ${first![what]}, as in the first run of this blind experiment`,
    ),
  ];
}

function nameIn(config: unknown): unknown {
  return (config as { readonly name?: unknown } | null)?.name;
}
