import { UsageError } from '../../cli/errors.ts';
import type { Experiment } from '../config/load-experiment.ts';
import type { Item } from '../plan/items.ts';
import type { BaseFingerprint, ResultRecord, RunRecord } from '../records.ts';

/** What all parts of a blind experiment have to have in common. */
const SAME = ['commit', 'device', 'precision', 'threads'] as const;

/** How far the results are when a run begins. */
export interface Begun {
  /** All lines of the results, in their order. */
  readonly lines: readonly ResultRecord[];
  /** What the run is to measure. */
  readonly open: readonly Item[];
}

/**
 * Refuses a run whose results would not belong to those before it in the same folder: other weights under the same name, and in
 * a blind experiment another commit, machine or engine, or a checkout with local changes. Where seeds are measured apart, only a seed
 * that has begun needs the same weights and machine.
 * @throws UsageError naming what differs
 */
export function requireSameConditions(experiment: Experiment, run: RunRecord, { lines, open }: Begun): void {
  const { name, blind = false, seeds_apart: apart = false } = experiment;
  const runs = lines.filter((record) => record.type === 'run');
  const first = runs.find(({ config }) => nameIn(config) === nameIn(run.config));
  const begun = begunSeeds(lines, open);
  // Runs that this one has to agree with in weights and in what decides about times.
  const here = apart ? runsOfSeeds(lines, begun) : runs;
  const problems = [
    ...otherWeights(run, here, apart ? '' : '; take another --out'),
    ...(blind ? [...localChanges(run), ...differing(run, first, SAME)] : []),
    ...(blind ? differing(run, apart ? here[0] : first, ['machine']) : []),
  ];
  if (problems.length === 0) return;
  const advice = begun.size > 0 && apart ? [adviceFor(begun)] : [];
  throw new UsageError([`${name} cannot go on:`, ...problems.map((line) => `  ${line}`), ...advice].join('\n'));
}

/** Each line of a seed has it in its key, those before an attempt, too. */
function adviceFor(seeds: ReadonlySet<number>): string {
  const keys = [...seeds].map((seed) => `seed-${seed}`).join(' or ');
  return `its seed has begun under other conditions; to begin it anew, remove all lines with ${keys} in their key from results.jsonl`;
}

/** Seeds of which something is measured and something is not. */
function begunSeeds(lines: readonly ResultRecord[], open: readonly Item[]): ReadonlySet<number> {
  const openSeeds = new Set(open.map((item) => (item.type === 'evolution' ? item.seed : item.tenant.seed)));
  return new Set(lines.flatMap((line) => seedIn(line) ?? []).filter((seed) => openSeeds.has(seed)));
}

function seedIn(line: ResultRecord): number | undefined {
  return 'seed' in line ? line.seed : undefined;
}

/** The runs that have measured something of these seeds. */
function runsOfSeeds(lines: readonly ResultRecord[], seeds: ReadonlySet<number>): RunRecord[] {
  const found = new Set<RunRecord>();
  let run: RunRecord | undefined;
  for (const line of lines) {
    if (line.type === 'run') run = line;
    const seed = seedIn(line);
    if (run && seed !== undefined && seeds.has(seed)) found.add(run);
  }
  return [...found];
}

function otherWeights({ bases = [] }: RunRecord, runs: readonly RunRecord[], advice: string): string[] {
  const known = new Map(runs.flatMap((run) => (run.bases ?? []).map((one) => [one.name, one.fingerprint])));
  return bases
    .filter(({ name, fingerprint }) => (known.get(name) ?? fingerprint) !== fingerprint)
    .map((one) => {
      const before = known.get(one.name)!.slice(0, 12);
      return `${named(one)} has other weights (${one.fingerprint.slice(0, 12)}) than in the runs before (${before})${advice}`;
    });
}

function named({ name }: BaseFingerprint): string {
  return name === null ? 'the base' : `the evolution ${name}`;
}

function localChanges({ commit }: RunRecord): string[] {
  return commit?.endsWith('+')
    ? [`the checkout has local changes (${commit}), and the experiment is blind: commit or undo them`]
    : [];
}

/** @param first the run that decides; undefined where there is none yet */
function differing(
  run: RunRecord,
  first: RunRecord | undefined,
  keys: readonly (keyof RunRecord & string)[],
): string[] {
  return keys
    .filter((what) => first !== undefined && first[what] !== run[what])
    .map(
      (what) =>
        `${what} is ${String(run[what])}, expected ${String(first![what])}, as in the first run of this blind experiment`,
    );
}

function nameIn(config: unknown): unknown {
  return (config as { readonly name?: unknown } | null)?.name;
}
