import { writtenName } from '../../plan/tenant-spec.ts';
import { groupBy } from '../comparisons/compare.ts';
import { mean } from '../statistics.ts';
import type { Evidence } from './evidence.ts';
import { judgeHypotheses } from './hypotheses.ts';
import { together, type Judgement } from './judgement.ts';

/**
 * Range of test values of telling old adapters. Below it there is nothing to keep, above it hardly anything to gain.
 */
const TELLING = { least: 0.15, most: 0.97 };

/** Task that tells nothing. */
interface LeftOut {
  readonly task: string;
  /** Mean test value of the tenants' old adapters on the old base. */
  readonly value: number;
}

/**
 * Judges the hypotheses on the tasks whose old adapters are neither nearly perfect nor hardly better than nothing.
 * Findings of the other tasks stand beside them and decide nothing. The choice depends on the old adapters alone, and
 * on no strategy.
 */
export function judgeTellingTasks(evidence: Evidence): Judgement[] {
  const leftOut = tasksLeftOut(evidence);
  const names = new Set(leftOut.map(({ task }) => task));
  const judged = judgeHypotheses({ ...evidence, cells: evidence.cells.filter(({ task }) => !names.has(task)) });
  return leftOut.reduce((judgements, one) => withFindings(judgements, evidence, one), judged);
}

function withFindings(judgements: readonly Judgement[], evidence: Evidence, { task, value }: LeftOut): Judgement[] {
  const apart = judgeHypotheses({ ...evidence, cells: evidence.cells.filter((cell) => cell.task === task) });
  return judgements.map((judgement, i) => {
    const findings = apart[i]!.findings.map((finding) => {
      return { ...finding, label: [`${task} alone`, finding.label].filter(Boolean).join(', '), decides: false };
    });
    const note = `${task} does not decide: its old adapters have ${(100 * value).toFixed(1)} % on their own base`;
    return together({
      ...judgement,
      findings: [...judgement.findings, ...findings],
      notes: [...judgement.notes, note],
    });
  });
}

function tasksLeftOut({ cells, old }: Evidence): LeftOut[] {
  return groupBy(cells, ({ task }) => task).flatMap((ofTask): LeftOut[] => {
    const values = groupBy(ofTask, writtenName).flatMap(([cell]) => old(cell!)?.value ?? []);
    const value = values.length === 0 ? null : mean(values);
    const isTelling = value === null || (value >= TELLING.least && value <= TELLING.most);
    return isTelling ? [] : [{ task: ofTask[0]!.task, value }];
  });
}
