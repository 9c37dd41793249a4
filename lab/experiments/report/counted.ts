import type { Experiment } from '../config/load-experiment.ts';
import type { Item } from '../plan.ts';
import { writtenName } from '../plan/tenant-spec.ts';
import type { FailedTenantRecord, ItemRecord, ResultRecord, RunRecord } from '../records.ts';
import { unmeasuredOf, withoutExcluded } from '../run/standing.ts';

/** Records that a report counts, and the reasons for leaving others out. */
export interface Counted {
  /** Items of the plan, without those of excluded tenants. */
  readonly items: readonly Item[];
  readonly measured: readonly ResultRecord[];
  /** Those of the measured records that tables and judgements use. */
  readonly counted: readonly ResultRecord[];
  readonly seeds: SeedCount;
  /** Tenants whose old adapter could not be trained. All of their items are left out. */
  readonly excluded: readonly FailedTenantRecord[];
  readonly busy: BusyCount;
}

/** Seeds of an experiment, by whether all of their items are measured. */
export interface SeedCount {
  readonly whole: readonly number[];
  /** Seeds with open items. A blind experiment leaves all of their results out. */
  readonly open: readonly number[];
}

/** Number of items that ran beside other load. */
export interface BusyCount {
  /** Load average that counts as other load: half a processor above the threads of the last run. */
  readonly limit: number;
  readonly above: number;
  /** Number of items with a known load. */
  readonly known: number;
}

/**
 * Chooses the records of a report. A blind experiment that was ended by its hours counts whole seeds alone: which items
 * of the others were measured depends on the order of the plan.
 * @param records last record of each key
 */
export function countedRecords(
  experiment: Experiment,
  all: readonly Item[],
  records: readonly ResultRecord[],
): Counted {
  const byKey = new Map(records.map((record) => [record.key, record]));
  const recordOf = (key: string): ResultRecord | undefined => byKey.get(key);
  const items = withoutExcluded(all, recordOf);
  const kept = new Set(items);
  const left = all.filter((item) => !kept.has(item)).map(({ key }) => key);
  const planned = new Set(items.map(({ key }) => key));
  const measured = records.filter(({ key, type }) => planned.has(key) && type !== 'failed_tenant');
  const seeds = seedsOf(items, unmeasuredOf(items, recordOf));
  const isCounted = (record: ResultRecord): boolean =>
    !('seed' in record) || record.seed === undefined || !seeds.open.includes(record.seed);
  return {
    items,
    measured,
    counted: experiment.blind ? measured.filter(isCounted) : measured,
    seeds,
    excluded: left.flatMap((key) => {
      const record = recordOf(key);
      return record?.type === 'failed_tenant' ? [record] : [];
    }),
    busy: busyOf(
      measured,
      records.findLast((record): record is RunRecord => record.type === 'run'),
    ),
  };
}

function seedsOf(items: readonly Item[], unmeasured: readonly Item[]): SeedCount {
  const seedsIn = (list: readonly Item[]): Set<number> => new Set(list.flatMap((item) => item.tenant?.seed ?? []));
  const open = seedsIn(unmeasured);
  return { whole: [...seedsIn(items)].filter((seed) => !open.has(seed)), open: [...open] };
}

function busyOf(measured: readonly ResultRecord[], run: RunRecord | undefined): BusyCount {
  const limit = (run?.threads ?? 0) + 0.5;
  const loads = measured.flatMap((record) => (record as ItemRecord).load ?? []);
  return { limit, above: loads.filter((load) => load > limit).length, known: loads.length };
}

/** Writes paragraphs on left-out seeds and tenants and on other load. Empty if all went as planned. */
export function countedLines(
  { blind = false }: Experiment,
  { seeds, excluded, busy }: Pick<Counted, 'seeds' | 'excluded' | 'busy'>,
): string[] {
  const partly = blind && seeds.open.length > 0;
  const named = (list: readonly number[]): string => (list.length === 0 ? 'none' : list.join(', '));
  return [
    ...(partly
      ? [
          `Tables and judgements count whole seeds alone, which are ${seeds.whole.length} of ` +
            `${seeds.whole.length + seeds.open.length} (${named(seeds.whole)}), and nothing of those with items that ` +
            `are not measured (${named(seeds.open)}).`,
          '',
        ]
      : []),
    ...(busy.known > 0 ? [`${busy.above} of ${busy.known} items ran under a load above ${busy.limit}.`] : []),
    ...excluded.map(
      (tenant) =>
        `- The tenant ${writtenName(tenant)} is excluded from all strategies, because its old adapter could not be ` +
        `trained: ${tenant.error}`,
    ),
  ];
}
