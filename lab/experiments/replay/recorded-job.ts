import type { MetricName } from '../../../core/options/metrics.ts';
import { judgesRows } from '../../../core/options/metrics.ts';
import type { CellRecord, ReferenceRecord, ResultRecord, TenantRecord } from '../records.ts';

/** Margin of the recorded gate. */
export const MARGIN = 0.03;

/** Number of search rows on which the recorded jobs measured adapters in training. */
const WATCHED_ROWS = 64;

/** Number of training steps between two such measurements. */
const WATCHED_EVERY = 16;

/** Look of a recorded job. */
export interface RecordedLook {
  /** Milliseconds from the start of the job to the end of the look. */
  readonly endedAt: number;
  readonly ms: number;
  /** Number of gate rows that were measured. */
  readonly measured: number;
  /** Difference of the candidate's metric from the old version's on all gate rows; an estimate for a curtailed look. */
  readonly difference: number;
  /**
   * Number of rows that the candidate has right and the old version has wrong; an estimate if the record has none; null
   * for a metric that does not judge rows.
   */
  readonly gains: number | null;
  /** Scores of test rows under both versions, from which those of gate rows are drawn; null if rows are judged. */
  readonly scores: { readonly old: readonly number[]; readonly candidate: readonly number[] } | null;
}

/** Recorded job with its looks. */
export interface RecordedJob {
  readonly cell: CellRecord;
  readonly metric: MetricName;
  /** Metric of the version that the margin counts from, on the gate rows. */
  readonly old: number;
  readonly looks: readonly RecordedLook[];
}

/**
 * Reads jobs that measured all gate rows of a candidate, or curtailed its look. Their records have no outcomes of rows,
 * so some numbers are estimates: a curtailed look is taken to go on as it began, and a candidate without a record of
 * its flips gains as many rows as the median of those with one, on the same task and evolution.
 */
export function recordedJobs(records: readonly ResultRecord[], gateRows: number): RecordedJob[] {
  const cells = records.flatMap((record) => (record.type === 'cell' && record.best ? [record] : []));
  const known = cells.flatMap((cell) => {
    return gainsOf(cell, gateRows).map(([id, gains]) => ({ cell, id, gains }));
  });
  return cells.map((cell) => {
    const { best, phases, steps, candidates, task, evolution } = cell;
    const metric = best!.metric.name;
    const old = referenceOf(cell);
    const alike = known.filter((one) => one.cell.task === task && one.cell.evolution === evolution);
    const usual = median(alike.map(({ gains }) => gains));
    const measuredOf = ({ curtailed }: CellRecord['candidates'][number]) => curtailed?.measured ?? gateRows;
    const watched = Math.floor(steps! / WATCHED_EVERY) * WATCHED_ROWS;
    const rows = candidates.reduce((sum, candidate) => sum + measuredOf(candidate), 0) + watched;
    const looks = candidates.map((candidate): RecordedLook => {
      const measured = measuredOf(candidate);
      const gains = alike.find((one) => one.cell === cell && one.id === candidate.id)?.gains ?? usual;
      return {
        endedAt: candidate.at,
        ms: (phases!.evaluate * measured) / rows,
        measured,
        difference: ((candidate.value - old) * gateRows) / measured,
        gains: judgesRows(metric) ? gains : null,
        scores: judgesRows(metric) ? null : scoresOf(records, cell, candidate.id),
      };
    });
    return { cell, metric, old, looks };
  });
}

/** Returns the metric that the margin counts from. A job records the old version's own only if it measured it. */
function referenceOf({ target }: CellRecord): number {
  return target! + MARGIN;
}

/** Returns how many rows each candidate gained whose flips the ladder has recorded. */
function gainsOf(cell: CellRecord, gateRows: number): [string, number][] {
  return cell.ladder!.flatMap(({ candidate }): [string, number][] => {
    if (!candidate || candidate.negativeFlips === null || candidate.metric.rows !== gateRows) return [];
    const losses = Math.round(candidate.negativeFlips * gateRows);
    return [[candidate.id, losses + Math.round((candidate.metric.value - referenceOf(cell)) * gateRows)]];
  });
}

function scoresOf(records: readonly ResultRecord[], cell: CellRecord, id: string): RecordedLook['scores'] {
  const isTenants = (one: TenantRecord | ReferenceRecord) =>
    one.task === cell.task && one.adapter === cell.adapter && one.seed === cell.seed;
  const tenant = records.find((one): one is TenantRecord => one.type === 'tenant' && isTenants(one));
  const reference = records.find(
    (one): one is ReferenceRecord =>
      one.type === 'reference' && isTenants(one) && one.evolution === cell.evolution.split('-after-')[0],
  );
  const candidate = id === 'copy' ? reference?.copy : cell.final;
  if (!tenant?.old.scores || !candidate?.scores) throw new Error(`the results have no scores of ${cell.key}`);
  return { old: tenant.old.scores, candidate: candidate.scores };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}
