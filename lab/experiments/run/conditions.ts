import { UsageError } from '../../../cli/process/errors.ts';
import { RETIRED_OPTIONS } from '../config/experiment.schema.ts';
import type { Experiment } from '../config/load-experiment.ts';
import type { Item } from '../plan/items.ts';
import { tenantName, writtenName } from '../plan/tenant-spec.ts';
import type { BaseFingerprint, ResultRecord, RunRecord } from '../records.ts';

/** Fields that must be the same in all runs of a blind experiment. */
const SAME = ['commit', 'device', 'precision', 'threads'] as const;

/**
 * Refuses to measure jobs with `fleet` or a retired option. Files of finished experiments keep these, but jobs no
 * longer have them.
 * @throws UsageError naming the strategy and the option
 */
export function requireMeasurable({ name }: Experiment, open: readonly Item[]): void {
  for (const item of open) {
    if (item.type !== 'cell') continue;
    const { fleet, options } = item.strategy;
    const retired = fleet ? 'fleet' : Object.keys(RETIRED_OPTIONS).find((option) => option in options);
    if (retired === undefined) continue;
    throw new UsageError(
      `${name} cannot be measured: its strategy ${item.strategy.name} has ${retired}, which only finished ` +
        'experiments have, because jobs no longer have it',
    );
  }
}

/** Results and open items at the start of a run. */
export interface Begun {
  /** All records, in the order of the file. */
  readonly lines: readonly ResultRecord[];
  /** Items without a result. */
  readonly open: readonly Item[];
}

/**
 * Refuses a run under other conditions than the earlier runs in the same folder: other weights under the same name, and
 * in a blind experiment also another commit, machine or engine, or a checkout with local changes. With `tenants_apart`,
 * only tenants that have begun need the same weights and machine.
 * @throws UsageError naming the differences
 */
export function requireSameConditions(experiment: Experiment, run: RunRecord, { lines, open }: Begun): void {
  const { name, blind = false, tenants_apart: apart = false } = experiment;
  const runs = lines.filter((record) => record.type === 'run');
  const first = runs.find(({ config }) => nameIn(config) === nameIn(run.config));
  // The machine decides the times, beside the engine.
  const place = blind ? (['machine'] as const) : [];
  const problems = [
    ...(blind ? [...localChanges(run), ...differing(run, first, SAME)] : []),
    ...(apart
      ? begunTenants(lines, open).flatMap((tenant) => elsewhere(run, { tenant, runs: runsOf(lines, tenant), place }))
      : [...otherWeights(run, runs).map((line) => `${line}; take another --out`), ...differing(run, first, place)]),
  ];
  if (problems.length > 0)
    throw new UsageError([`${name} cannot go on:`, ...problems.map((line) => `  ${line}`)].join('\n'));
}

interface BegunTenant {
  /** Name of the tenant as in the keys of items. */
  readonly tenant: string;
  /** Runs that have measured an item of the tenant. */
  readonly runs: readonly RunRecord[];
  readonly place: readonly (keyof RunRecord & string)[];
}

/** Lists differences from the runs of a tenant that has begun, with advice on how to begin it anew. */
function elsewhere(run: RunRecord, { tenant, runs, place }: BegunTenant): string[] {
  const problems = runs.flatMap((one) => [...differing(run, one, place), ...otherWeights(run, [one])]);
  if (problems.length === 0) return [];
  const lines = `all lines with " ${tenant} " from results.jsonl, which have it in their keys, the spaces included`;
  return [...new Set(problems), `${tenant} has begun under these other conditions; to begin it anew, remove ${lines}`];
}

/** Lists tenants with measured and with open items. */
function begunTenants(lines: readonly ResultRecord[], open: readonly Item[]): string[] {
  const isOpen = new Set(open.flatMap((item) => (item.tenant ? [tenantName(item.tenant)] : [])));
  return [...new Set(lines.flatMap((line) => tenantIn(line) ?? []))].filter((tenant) => isOpen.has(tenant));
}

function tenantIn(line: ResultRecord): string | undefined {
  if (!('task' in line) || line.task === undefined) return undefined;
  const { task, adapter, seed } = line;
  return adapter === undefined || seed === undefined ? undefined : writtenName({ task, adapter, seed });
}

function runsOf(lines: readonly ResultRecord[], tenant: string): RunRecord[] {
  const found = new Set<RunRecord>();
  let run: RunRecord | undefined;
  for (const line of lines) {
    if (line.type === 'run') run = line;
    if (run && tenantIn(line) === tenant) found.add(run);
  }
  return [...found];
}

function otherWeights({ bases = [] }: RunRecord, runs: readonly RunRecord[]): string[] {
  const known = new Map(runs.flatMap((run) => (run.bases ?? []).map((one) => [one.name, one.fingerprint])));
  return bases
    .filter(({ name, fingerprint }) => (known.get(name) ?? fingerprint) !== fingerprint)
    .map((one) => {
      const before = known.get(one.name)!.slice(0, 12);
      return `${named(one)} has other weights (${one.fingerprint.slice(0, 12)}) than in the runs before (${before})`;
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

/** Lists the fields that differ from the first run. @param first undefined if there is none yet */
function differing(
  run: RunRecord,
  first: RunRecord | undefined,
  keys: readonly (keyof RunRecord & string)[],
): string[] {
  return keys
    .filter((what) => first !== undefined && first[what] !== run[what])
    .map(
      (what) =>
        `${what} is ${String(run[what])}, expected ${String(first![what])}, as in the runs before, ` +
        'because the experiment is blind',
    );
}

function nameIn(config: unknown): unknown {
  return (config as { readonly name?: unknown } | null)?.name;
}
