import { writtenName } from '../../plan/tenant-spec.ts';
import type { CellRecord, TestScore } from '../../records.ts';
import { clusteredInterval, scoresOf, type RowValues } from '../comparisons/compare.ts';
import type { Evidence } from './evidence.ts';
import { differenceFinding, together, type Judgement } from './judgement.ts';
import { AUTO, HELPFUL, SCRATCH } from './names.ts';

/** Largest share of the copy's negative flips that may be left. */
const LEFT = 0.25;
/** Smallest share of the update's possible gain that must be kept. */
const KEPT = 0.8;

export function fewFlips({ cells, old, copy }: Evidence): Judgement {
  const jobs = cells.filter(({ strategy }) => strategy === AUTO);
  const judged = jobs.flatMap((job): RowValues[] => {
    const [before, now, unchanged] = [old(job), job.final, copy(job)].map((score) => score?.right ?? null);
    if (!before || !now || !unchanged) return [];
    const flipped = (right: string, row: number): number => Number(before[row] === '1' && right[row] === '0');
    return [{ job, values: [...now].map((_, row) => flipped(now, row) - LEFT * flipped(unchanged, row)) }];
  });
  return together({
    id: 'H8',
    claim: "negative flips are at most a quarter of the copy's",
    condition: 'upper end of flips(`auto`) − ¼ · flips(copy), by rows, at most 0',
    findings: [differenceFinding(clusteredInterval(judged), { bound: { end: 'upper', value: 0 } })],
    notes: [`${judged.length} of ${jobs.length} jobs: those with a candidate whose metric judges rows right or wrong`],
  });
}

export function keepsGain(evidence: Evidence): Judgement {
  const { cells, old } = evidence;
  const jobs = cells.filter((cell) => cell.strategy === AUTO && cell.evolution === HELPFUL);
  const judged = jobs.flatMap((job): RowValues[] => {
    const [before, now, best] = [old(job), job.final, bestOf(evidence, job)].map((score) => scoresOf(score));
    if (!before || !now || !best) return [];
    return [{ job, values: now.map((value, row) => value - before[row]! - KEPT * (best[row]! - before[row]!)) }];
  });
  return together({
    id: 'H9',
    claim: "on `helpful`, `auto` keeps at least 80 % of the update's gain",
    condition: 'lower end of value(`auto`) − value(old) − 0.8 · (best − value(old)) at least 0',
    findings: [differenceFinding(clusteredInterval(judged), { bound: { end: 'lower', value: 0 } })],
    notes: [`${judged.length} of ${jobs.length} jobs: those with a candidate`],
  });
}

/** Picks the better version of a job's tenant by its test value: that of `scratch` with all rows, or the copy. */
function bestOf({ experiment, cells, copy }: Evidence, job: CellRecord): TestScore | null {
  const rows = Math.max(...experiment.rows);
  const scratch = cells.find(
    (cell) =>
      cell.strategy === SCRATCH &&
      cell.rows === rows &&
      cell.evolution === job.evolution &&
      cell.draw === job.draw &&
      writtenName(cell) === writtenName(job),
  );
  const [trained, unchanged] = [scratch?.final ?? null, copy(job)];
  if (trained === null || unchanged === null) return trained ?? unchanged;
  return trained.value > unchanged.value ? trained : unchanged;
}
