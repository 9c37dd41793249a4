import type { Experiment } from '../config/load-experiment.ts';
import type { Item } from '../plan.ts';
import { writtenName } from '../plan/tenant-spec.ts';
import type {
  CellRecord,
  EvolutionRecord,
  ReferenceRecord,
  ResultRecord,
  RunRecord,
  SurfaceRecord,
  TenantName,
  TenantRecord,
} from '../records.ts';
import { countedRecords, type Counted } from './counted.ts';
import { checkJob, gateChecks, type CheckedJob, type GateCheck } from './gate-check.ts';
import { compareStrategies, type Comparison } from './comparisons/compare.ts';
import { evidenceOf } from './hypotheses/evidence.ts';
import { furtherTables, type FurtherTables } from './tables/further-tables.ts';
import { strategyTimes, type StrategyTimes } from './tables/times.ts';
import { medianRatio, ttrRatio, type Ratio } from './ratio.ts';
import { negativeFlips, spread, type Spread } from './statistics.ts';
import { durationOf, medianTime, type Duration } from './readiness.ts';

/** Job compared with the old version and with the baselines. */
export interface Job {
  readonly cell: CellRecord;
  readonly ttr: Duration;
  /** Negative flips of the final version as a share of the test rows. Null if the metric does not judge single rows. */
  readonly flips: number | null;
  /** Negative flips of the unchanged copy. */
  readonly copyFlips: number | null;
  /** Time of each baseline over that of the job. */
  readonly ratios: Readonly<Record<string, Ratio>>;
  /** Final value minus that of each baseline, in units of the metric. Positive if the job is better. */
  readonly gains: Readonly<Record<string, number>>;
  /** Comparison of the gate's decision with the test rows. */
  readonly checked: CheckedJob | null;
}

/** Summary of jobs of one strategy: those of one group and number of rows, or all of them. */
export interface StrategySummary {
  readonly strategy: string;
  readonly jobs: number;
  readonly ready: number;
  /** Milliseconds by which half of the jobs were ready, or null if fewer were. */
  readonly medianTtr: number | null;
  readonly ratios: Readonly<Record<string, Ratio | null>>;
  /** Milliseconds of the whole job, including the time after readiness. */
  readonly elapsedMs: Spread | null;
  /** Milliseconds of the evaluations of α and β, fusion included, over the jobs that made any. */
  readonly searchMs: Spread | null;
  readonly first: Spread | null;
  readonly final: Spread | null;
  readonly gains: Readonly<Record<string, Spread | null>>;
  readonly flips: Spread | null;
  readonly copyFlips: Spread | null;
}

/** Jobs of one evolution, task and adapter recipe. */
export interface GroupSummary {
  readonly evolution: string;
  readonly task: string;
  readonly adapter: string;
  readonly metric: string;
  /** Value of the old version on the old base. */
  readonly old: Spread | null;
  /** Value of the new base without an adapter. */
  readonly none: Spread | null;
  /** Value of the unchanged old adapter on the new base. */
  readonly copy: Spread | null;
  readonly copyFlips: Spread | null;
  readonly rows: readonly { readonly rows: number; readonly strategies: readonly StrategySummary[] }[];
}

export interface Summary extends Pick<Counted, 'seeds' | 'excluded' | 'busy'> {
  readonly runs: readonly RunRecord[];
  readonly evolutions: readonly EvolutionRecord[];
  readonly surfaces: readonly SurfaceRecord[];
  /** Names of the strategies with which the others are compared. */
  readonly baselines: readonly string[];
  readonly jobs: readonly Job[];
  readonly groups: readonly GroupSummary[];
  /** Summaries of all jobs of each strategy. */
  readonly overall: readonly StrategySummary[];
  /** Comparisons of pairs of strategies. */
  readonly comparisons: readonly Comparison[];
  readonly times: readonly StrategyTimes[];
  readonly further: FurtherTables;
  /** Versions published by gates with a margin, compared on the test rows. */
  readonly gates: readonly GateCheck[];
  readonly failed: readonly CellRecord[];
  /** Number of items of the plan, without those of excluded tenants. */
  readonly planned: number;
  /** Number of items that have a result, without failed jobs. */
  readonly measured: number;
}

/** Computes all figures of the report from the records that belong to the plan. */
export function summarize(experiment: Experiment, items: readonly Item[], records: readonly ResultRecord[]): Summary {
  const { counted: wanted, measured, seeds, excluded, busy, ...plan } = countedRecords(experiment, items, records);
  const failed = measured.filter((record) => record.type === 'cell' && record.state === 'failed') as CellRecord[];
  const cells = wanted.filter((record) => record.type === 'cell').filter(({ state }) => state !== 'failed');
  const baselines =
    experiment.baselines ??
    experiment.strategies.filter(({ options }) => options.strategy === 'scratch').map(({ name }) => name);
  const jobs = toJobs(experiment, cells, { records: wanted, baselines });
  const evidence = evidenceOf(experiment, wanted);
  const comparisons = comparisonsOf(experiment, evidence.cells, baselines);
  const strategies = experiment.strategies.map(({ name }) => name);
  return {
    runs: records.filter((record) => record.type === 'run'),
    evolutions: wanted.filter((record) => record.type === 'evolution').map(named),
    surfaces: wanted.filter((record) => record.type === 'surface'),
    baselines,
    jobs,
    groups: groupsOf(experiment, jobs, { records: wanted, baselines }),
    overall: strategySummaries(
      experiment,
      jobs.map((job) => withoutLoss(experiment, job)),
      baselines,
    ),
    comparisons,
    times: strategyTimes(evidence.cells, { strategies, baselines }),
    further: furtherTables(evidence, { baselines, comparisons }),
    gates: gateChecks(jobs.flatMap(({ checked }) => checked ?? [])),
    ...{ seeds, excluded, busy, failed },
    planned: plan.items.length,
    measured: measured.length - failed.length,
  };
}

/** Adds the tenant to the name of an evolution that was computed for one tenant. */
function named(record: EvolutionRecord): EvolutionRecord {
  const { evolution, task, adapter, seed } = record;
  if (task === undefined || adapter === undefined || seed === undefined) return record;
  return { ...record, evolution: `${evolution}, ${writtenName({ task, adapter, seed })}` };
}

function comparisonsOf(
  { strategies, comparisons }: Experiment,
  cells: readonly CellRecord[],
  baselines: readonly string[],
): Comparison[] {
  const names = strategies.map(({ name }) => name);
  const all = names.flatMap((strategy) => baselines.map((baseline) => ({ strategy, with: baseline })));
  return (comparisons ?? all.filter((one) => one.strategy !== one.with))
    .flatMap((one) => compareStrategies(cells, one.strategy, one.with))
    .filter(({ pairs }) => pairs > 0);
}

interface Material {
  readonly records: readonly ResultRecord[];
  readonly baselines: readonly string[];
}

function toJobs(experiment: Experiment, cells: readonly CellRecord[], { records, baselines }: Material): Job[] {
  const find = finder(cells);
  return cells.map((cell) => {
    const sign = metricOf(experiment, cell.task) === 'loss' ? -1 : 1;
    const old = tenantOf(records, cell)?.old.right ?? null;
    const others = baselines.flatMap((name) => {
      const other = find(cell, name);
      return other && name !== cell.strategy ? [[name, other] as const] : [];
    });
    return {
      cell,
      checked: checkJob(experiment, cell, old),
      ttr: durationOf(cell),
      flips: negativeFlips(old, cell.final?.right ?? null),
      copyFlips: negativeFlips(old, referenceOf(records, cell)?.copy.right ?? null),
      ratios: Object.fromEntries(others.map(([name, other]) => [name, ttrRatio(durationOf(cell), durationOf(other))])),
      gains: Object.fromEntries(
        others.flatMap(([name, other]) =>
          cell.final && other.final ? [[name, sign * (cell.final.value - other.final.value)]] : [],
        ),
      ),
    };
  });
}

function groupsOf(experiment: Experiment, jobs: readonly Job[], { records, baselines }: Material): GroupSummary[] {
  const places = [
    ...new Map(
      jobs.map(({ cell: { evolution, task, adapter } }) => [
        `${evolution} ${task} ${adapter}`,
        { evolution, task, adapter },
      ]),
    ).values(),
  ];
  return places.map((place) => {
    const here = jobs.filter(({ cell }) => cell.evolution === place.evolution && isOf(place, cell));
    const tenants = records.filter((one): one is TenantRecord => one.type === 'tenant' && isOf(place, one));
    const references = records.filter(
      (one): one is ReferenceRecord =>
        one.type === 'reference' && one.evolution === place.evolution && isOf(place, one),
    );
    const sizes = [...new Set(here.map(({ cell }) => cell.rows))].sort((a, b) => a - b);
    return {
      ...place,
      metric: metricOf(experiment, place.task),
      old: spread(tenants.map(({ old }) => old.value)),
      none: spread(references.map(({ none }) => none.value)),
      copy: spread(references.map(({ copy }) => copy.value)),
      copyFlips: spread(
        references.flatMap((one) => negativeFlips(tenantOf(records, one)?.old.right ?? null, one.copy.right) ?? []),
      ),
      rows: sizes.map((rows) => ({
        rows,
        strategies: strategySummaries(
          experiment,
          here.filter(({ cell }) => cell.rows === rows),
          baselines,
        ),
      })),
    };
  });
}

function strategySummaries(
  { strategies }: Experiment,
  jobs: readonly Job[],
  baselines: readonly string[],
): StrategySummary[] {
  return strategies.flatMap(({ name }) => {
    const own = jobs.filter(({ cell }) => cell.strategy === name);
    return own.length === 0 ? [] : [summarizeStrategy(name, own, baselines)];
  });
}

function summarizeStrategy(strategy: string, jobs: readonly Job[], baselines: readonly string[]): StrategySummary {
  const others = baselines.filter((name) => name !== strategy);
  return {
    strategy,
    jobs: jobs.length,
    ready: jobs.filter(({ ttr }) => ttr.happened).length,
    medianTtr: medianTime(jobs.map(({ ttr }) => ttr)),
    ratios: Object.fromEntries(
      others.map((name) => [name, medianRatio(jobs.flatMap(({ ratios }) => ratios[name] ?? []))]),
    ),
    elapsedMs: spread(jobs.map(({ cell }) => cell.elapsedMs)),
    searchMs: spread(
      jobs.flatMap(({ cell: { search } }) => (search.length > 0 ? [search.reduce((sum, { ms }) => sum + ms, 0)] : [])),
    ),
    first: spread(jobs.flatMap(({ cell }) => cell.first?.value ?? [])),
    final: spread(jobs.flatMap(({ cell }) => cell.final?.value ?? [])),
    gains: Object.fromEntries(others.map((name) => [name, spread(jobs.flatMap(({ gains }) => gains[name] ?? []))])),
    flips: spread(jobs.flatMap(({ flips }) => flips ?? [])),
    copyFlips: spread(jobs.flatMap(({ copyFlips }) => copyFlips ?? [])),
  };
}

/** Removes gains in nats, which cannot be averaged with gains in percent. */
function withoutLoss(experiment: Experiment, job: Job): Job {
  return metricOf(experiment, job.cell.task) === 'loss' ? { ...job, gains: {} } : job;
}

function finder(cells: readonly CellRecord[]): (like: CellRecord, strategy: string) => CellRecord | undefined {
  const nameOf = ({ evolution, task, adapter, seed, rows, draw }: CellRecord, strategy: string): string =>
    [evolution, task, adapter, seed, rows, draw, strategy].join(' ');
  const byName = new Map(cells.map((cell) => [nameOf(cell, cell.strategy), cell]));
  return (like, strategy) => byName.get(nameOf(like, strategy));
}

function tenantOf(records: readonly ResultRecord[], name: TenantName): TenantRecord | undefined {
  return records.find((one): one is TenantRecord => one.type === 'tenant' && one.seed === name.seed && isOf(name, one));
}

function referenceOf(records: readonly ResultRecord[], name: CellRecord): ReferenceRecord | undefined {
  return records.find((one): one is ReferenceRecord => {
    return one.type === 'reference' && one.evolution === name.evolution && one.seed === name.seed && isOf(name, one);
  });
}

function isOf(name: Pick<TenantName, 'task' | 'adapter'>, one: Pick<TenantName, 'task' | 'adapter'>): boolean {
  return one.task === name.task && one.adapter === name.adapter;
}

function metricOf({ tasks }: Experiment, task: string): string {
  return tasks.find(({ name }) => name === task)!.metric;
}
