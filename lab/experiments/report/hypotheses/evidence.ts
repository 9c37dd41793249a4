import type { Experiment } from '../../config/load-experiment.ts';
import { evolutionMs, type EvolvedJob } from '../../evolution-time.ts';
import { writtenName } from '../../plan/tenant-spec.ts';
import type { CellRecord, ResultRecord, TestScore } from '../../records.ts';
import { groupBy } from '../comparisons/compare.ts';

/** Evidence for the hypotheses: the jobs of an experiment, and the scores to compare their versions with. */
export interface Evidence {
  readonly experiment: Experiment;
  /** All jobs. A failed job counts as not ready at its time, and its tenant as left with the unchanged copy. */
  readonly cells: readonly CellRecord[];
  /** Score of the tenant's own adapter on the experiment's base. Margins count from it, in a chain, too. */
  old(cell: CellRecord): TestScore | null;
  /** Score of that adapter, unchanged, on the new base. */
  copy(cell: CellRecord): TestScore | null;
  /** Score of the new base without an adapter. */
  none(cell: CellRecord): TestScore | null;
  /**
   * Job's share of the computing time of its evolution, in milliseconds.
   * @throws Error if that time was not measured
   */
  evolutionMs(job: EvolvedJob, adapters: number): number;
}

/** Collects the evidence from the records that belong to the experiment's plan. */
export function evidenceOf(experiment: Experiment, records: readonly ResultRecord[]): Evidence {
  const olds = new Map(records.filter((one) => one.type === 'tenant').map((one) => [writtenName(one), one.old]));
  const references = new Map(
    records.filter((one) => one.type === 'reference').map((one) => [`${one.evolution} ${writtenName(one)}`, one]),
  );
  const referenceOf = (cell: CellRecord) => references.get(`${cell.evolution} ${writtenName(cell)}`);
  const copy = (cell: CellRecord): TestScore | null => referenceOf(cell)?.copy ?? null;
  return {
    experiment,
    cells: records.filter((one) => one.type === 'cell').map((cell) => withoutFailure(cell, copy(cell))),
    old: (cell) => olds.get(writtenName(cell)) ?? null,
    copy,
    none: (cell) => referenceOf(cell)?.none ?? null,
    evolutionMs: (job, adapters) => evolutionMs(records, job, adapters),
  };
}

function withoutFailure(cell: CellRecord, copy: TestScore | null): CellRecord {
  return cell.state === 'failed' ? { ...cell, state: 'not_ready', readyMs: null, first: null, final: copy } : cell;
}

/** Puts the unchanged copy in place of the final version of jobs that ended without a candidate. */
export function withCopies({ cells, copy }: Evidence): CellRecord[] {
  return cells.map((cell) => (cell.final === null ? { ...cell, final: copy(cell) } : cell));
}

/**
 * Adds to the times of one strategy's jobs their share of the computation of evolutions. A fleet computes every
 * difference that one of its jobs needs: in a chain, that to the previous version and, for tenants without an adapter
 * for it, those to earlier ones.
 */
export function withEvolution(
  { cells, evolutionMs: bears }: Pick<Evidence, 'cells' | 'evolutionMs'>,
  { strategy, adapters }: { readonly strategy: string; readonly adapters: number },
): CellRecord[] {
  const own = cells.filter((cell) => cell.strategy === strategy);
  const computed = new Map(groupBy(own, fleetOf).map((fleet) => [fleetOf(fleet[0]!), differentWays(fleet)]));
  const shareOf = (cell: CellRecord): number =>
    adapters === 1
      ? bears(cell, 1)
      : computed
          .get(fleetOf(cell))!
          // With an evolution for each tenant, a job bears the time of its own tenant's.
          .reduce((sum, { carriedFrom }) => sum + bears({ ...cell, carriedFrom }, adapters), 0);
  return cells.map((cell) => (cell.strategy === strategy ? longer(cell, shareOf(cell)) : cell));
}

function fleetOf({ evolution, rows }: CellRecord): string {
  return `${evolution} ${rows}`;
}

/** Picks one job for each version from which adapters were carried over. */
function differentWays(fleet: readonly CellRecord[]): CellRecord[] {
  return groupBy(fleet, ({ carriedFrom = null }) => String(carriedFrom)).map(([first]) => first!);
}

/** Takes the time of looks at gate rows (phase `evaluate`) off the times of all jobs. A failed job has none. */
export function withoutLooks(cells: readonly CellRecord[]): CellRecord[] {
  return cells.map((cell) => longer(cell, -(cell.phases?.evaluate ?? 0)));
}

/** Adds the time of measuring the old version beforehand to the times of all jobs. */
export function withOldVersion(cells: readonly CellRecord[]): CellRecord[] {
  return cells.map((cell) => longer(cell, cell.oldMs ?? 0));
}

function longer(cell: CellRecord, ms: number): CellRecord {
  const readyMs = cell.readyMs === null || cell.readyMs === undefined ? cell.readyMs : cell.readyMs + ms;
  return { ...cell, readyMs, elapsedMs: cell.elapsedMs + ms };
}
