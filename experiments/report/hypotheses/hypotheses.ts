import { withoutFurtherTenants, type Evidence } from './evidence.ts';
import { belowTheirMargin } from './certified.ts';
import type { Judgement } from './judgement.ts';
import { fewFlips, keepsGain } from './old-behaviour.ts';
import { betterWithFewRows, notWorseThanPaper, notWorseWithAllRows } from './quality.ts';
import { soonerAlone, soonerInFleet, soonerThanPaper } from './times.ts';

/**
 * Judges the registered hypotheses (docs/experiments/protocol.md) by the results alone. Those about a fleet of 20 take its jobs, which are
 * those with all rows, of the further tenants too; all others take the tenants of the experiment's seeds.
 */
export function judgeHypotheses(evidence: Evidence): Judgement[] {
  const { rows } = evidence.experiment;
  const main = withoutFurtherTenants(evidence);
  const fleet = { ...evidence, cells: evidence.cells.filter((cell) => cell.rows === Math.max(...rows)) };
  return [
    notWorseThanPaper(main),
    soonerThanPaper(main),
    soonerInFleet(fleet),
    soonerAlone(main),
    betterWithFewRows(main),
    notWorseWithAllRows(main),
    belowTheirMargin(main),
    fewFlips(main),
    keepsGain(main),
  ];
}
