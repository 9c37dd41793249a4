import type { Evidence } from './evidence.ts';
import { belowTheirMargin } from './certified.ts';
import type { Judgement } from './judgement.ts';
import { fewFlips, keepsGain } from './old-behaviour.ts';
import { betterWithFewRows, notWorseThanPaper, notWorseWithAllRows } from './quality.ts';
import { soonerAlone, soonerInFleet, soonerThanPaper } from './times.ts';

/** Smallest number of whole seeds for a confirmatory result, by the protocol. */
const FEWEST_SEEDS = 3;

/**
 * Judges the registered hypotheses (lab/docs/protocol.md) by the results alone. The hypothesis about a fleet uses the
 * jobs with all rows. In a blind experiment, nothing is judged with fewer than 3 whole seeds.
 */
export function judgeHypotheses(evidence: Evidence): Judgement[] {
  const { rows } = evidence.experiment;
  const fleet = { ...evidence, cells: evidence.cells.filter((cell) => cell.rows === Math.max(...rows)) };
  const judgements = [
    notWorseThanPaper(evidence),
    soonerThanPaper(evidence),
    soonerInFleet(fleet),
    soonerAlone(evidence),
    betterWithFewRows(evidence),
    notWorseWithAllRows(evidence),
    belowTheirMargin(evidence),
    fewFlips(evidence),
    keepsGain(evidence),
  ];
  const seeds = new Set(evidence.cells.map(({ seed }) => seed)).size;
  if (!evidence.experiment.blind || seeds >= FEWEST_SEEDS) return judgements;
  return judgements.map((one) =>
    notJudged(one, `only ${seeds} seeds are whole, and the protocol asks for ${FEWEST_SEEDS}`),
  );
}

function notJudged(judgement: Judgement, why: string): Judgement {
  return { ...judgement, findings: [], notes: [`not judged, because ${why}`], result: 'cannot be said' };
}
