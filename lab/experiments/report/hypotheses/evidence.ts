import type { Experiment } from '../../config/load-experiment.ts';
import { evolutionMs, type EvolvedJob } from '../../evolution-time.ts';
import { writtenName } from '../../plan/tenant-spec.ts';
import type { CellRecord, ResultRecord, TestScore } from '../../records.ts';
import { groupBy } from '../comparisons/compare.ts';

/** What is judged: the jobs of an experiment, with what their versions are compared with. */
export interface Evidence {
  readonly experiment: Experiment;
  /** All jobs. One that failed was not ready at the time that it took, and its tenant is left with the unchanged copy. */
  readonly cells: readonly CellRecord[];
  /** The tenant's own adapter on the experiment's base. Margins count from it in a chain, too. */
  old(cell: CellRecord): TestScore | null;
  /** That adapter, unchanged, on the new base. */
  copy(cell: CellRecord): TestScore | null;
  /** The new base without an adapter. */
  none(cell: CellRecord): TestScore | null;
  /**
   * Milliseconds that a job bears of its evolution's computation, which so many adapters share.
   * @throws Error if that time was not measured
   */
  evolutionMs(job: EvolvedJob, adapters: number): number;
}

/** @param records those that belong to the experiment's plan */
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

/** The jobs, with the unchanged copy in place of the final version where a job ended without a candidate. */
export function withCopies({ cells, copy }: Evidence): CellRecord[] {
  return cells.map((cell) => (cell.final === null ? { ...cell, final: copy(cell) } : cell));
}

/**
 * The jobs, with what each bears of its evolution's computation added to the times of one strategy. A fleet computes every difference
 * that one of its jobs needs: in a chain, that to the version before and, for tenants without an adapter for it, those further back.
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
          // Where each tenant has its own evolutions, a job bears the times of its tenant's.
          .reduce((sum, { carriedFrom }) => sum + bears({ ...cell, carriedFrom }, adapters), 0);
  return cells.map((cell) => (cell.strategy === strategy ? longer(cell, shareOf(cell)) : cell));
}

function fleetOf({ evolution, rows }: CellRecord): string {
  return `${evolution} ${rows}`;
}

/** One job for each version that adapters were carried over from. */
function differentWays(fleet: readonly CellRecord[]): CellRecord[] {
  return groupBy(fleet, ({ carriedFrom = null }) => String(carriedFrom)).map(([first]) => first!);
}

/** The jobs, with the time of all looks at gate rows taken off: their phase `evaluate`. A job that failed has none. */
export function withoutLooks(cells: readonly CellRecord[]): CellRecord[] {
  return cells.map((cell) => longer(cell, -(cell.phases?.evaluate ?? 0)));
}

/** The jobs, with the time in which the old version was measured for them beforehand. */
export function withOldVersion(cells: readonly CellRecord[]): CellRecord[] {
  return cells.map((cell) => longer(cell, cell.oldMs ?? 0));
}

function longer(cell: CellRecord, ms: number): CellRecord {
  const readyMs = cell.readyMs === null || cell.readyMs === undefined ? cell.readyMs : cell.readyMs + ms;
  return { ...cell, readyMs, elapsedMs: cell.elapsedMs + ms };
}
