import { tenantOf } from '../comparisons/compare.ts';
import { withoutFurtherTenants, type Evidence } from './evidence.ts';
import { belowTheirMargin } from './certified.ts';
import type { Judgement } from './judgement.ts';
import { FLEET } from './names.ts';
import { fewFlips, keepsGain } from './old-behaviour.ts';
import { betterWithFewRows, notWorseThanPaper, notWorseWithAllRows } from './quality.ts';
import { soonerAlone, soonerInFleet, soonerThanPaper } from './times.ts';

/** Below so many whole seeds, the protocol has no confirmatory result. */
const FEWEST_SEEDS = 4;

/**
 * Judges the registered hypotheses (docs/experiments/protocol.md) by the results alone. Those about a fleet of 20 take its jobs, which are
 * those with all rows, of the further tenants too; all others take the tenants of the experiment's seeds. In a blind experiment, nothing
 * is judged below 4 seeds, and nothing of a fleet below its 20 tenants.
 */
export function judgeHypotheses(evidence: Evidence): Judgement[] {
  const { rows } = evidence.experiment;
  const main = withoutFurtherTenants(evidence);
  const fleet = { ...evidence, cells: evidence.cells.filter((cell) => cell.rows === Math.max(...rows)) };
  const judgements = [
    notWorseThanPaper(main),
    soonerThanPaper(main),
    withTenants(soonerInFleet(fleet), fleet),
    soonerAlone(main),
    betterWithFewRows(main),
    notWorseWithAllRows(main),
    belowTheirMargin(main),
    fewFlips(main),
    keepsGain(main),
  ];
  const seeds = new Set(main.cells.map(({ seed }) => seed)).size;
  if (!evidence.experiment.blind || seeds >= FEWEST_SEEDS) return judgements;
  return judgements.map((one) =>
    notJudged(one, `only ${seeds} seeds are whole, and the protocol asks for ${FEWEST_SEEDS}`),
  );
}

/** A fleet that is smaller than the claim is about shows nothing of it. Elsewhere than in the registered run it is only an estimate. */
function withTenants(judgement: Judgement, { experiment, cells }: Evidence): Judgement {
  const tenants = new Set(cells.map(tenantOf)).size;
  if (!experiment.blind || tenants >= FLEET) return judgement;
  return notJudged(judgement, `only ${tenants} tenants are whole, and the claim is about ${FLEET}`);
}

function notJudged(judgement: Judgement, why: string): Judgement {
  return { ...judgement, findings: [], notes: [`not judged, because ${why}`], result: 'cannot be said' };
}
