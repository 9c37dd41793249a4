import { DEFAULT_CONFIDENCE, DEFAULT_MARGIN, type GateRule } from '../../options/gates.ts';
import { isGenerated, judgesRows, type MetricName } from '../../options/metrics.ts';
import { FIRST_LOOK, levelOf } from './error-budget.ts';
import { levelOfOneTest } from './look-plan.ts';
import { certifiableMargin, rowsToCertify, type PowerAssumptions } from './power.ts';

/**
 * Share of rows that two versions of about the same quality are assumed to answer differently, before anything is
 * measured.
 */
const USUAL_FLIPS = 0.04;

/**
 * Standard deviation that is assumed for the difference of a row's scores under two versions, before anything is
 * measured.
 */
const USUAL_DEVIATION = 0.1;

/**
 * Difference that is assumed between a new version and the old one if the old one's own answers count as right, so that
 * no version can be better. Of a hundred rows that are right or wrong, four become wrong; of a hundred scores, four
 * fall by half. The assumed deviation of scores follows from the latter.
 */
const USUAL_LOSS = { rows: -USUAL_FLIPS, score: -USUAL_FLIPS / 2 };

/** Advice on the margin that a number of gate rows can certify, computed before a job has run. Plain JSON. */
export interface GateAdvice {
  readonly rows: number;
  readonly confidence: number;
  /** Margin of the gate that the advice is about; null if no gate is given. */
  readonly margin: number | null;
  /**
   * Smallest margin that the gate rows certify with a probability of 80 %, for a version that differs from the old one
   * as much as usual; null if they certify no margin.
   */
  readonly certifiable_margin: number | null;
  /**
   * Smallest margin that the gate rows certify for a version that differs from the old one in no row; null if they
   * certify no margin.
   */
  readonly least_margin: number | null;
  /**
   * Approximate number of gate rows that would certify the gate's margin with a probability of 80 %; null if no margin
   * is given, or if no number of rows would suffice, as for a margin of 0.
   */
  readonly rows_needed: number | null;
  /**
   * Answer to whether the gate rows can certify the gate's margin. `no`: not even for a version that differs in no row.
   * `unlikely`: only with a probability of less than 80 %, since the margin is below `certifiable_margin`. `yes`: in
   * all other cases. Null without a margin.
   */
  readonly decidable: 'yes' | 'unlikely' | 'no' | null;
}

/** Properties of gate rows on which the advice depends. */
interface AdvisedRows {
  readonly metric: MetricName;
  /** Whether the rows are prompts alone. The old version's own answers then count as right. */
  readonly promptsOnly: boolean;
}

/**
 * Estimates which margin the gate rows can certify at a job's first look. Returns null if there are no rows; for the
 * metric `loss`, whose spread is unknown before it is measured; for an absolute gate; and for prompts alone if the
 * metric does not judge generated text.
 */
export function gateAdvice(rows: number, { metric, promptsOnly }: AdvisedRows, gate?: GateRule): GateAdvice | null {
  if (metric === 'loss' || rows < 1 || gate?.kind === 'absolute' || (promptsOnly && !isGenerated(metric))) return null;
  const confidence = gate?.confidence ?? DEFAULT_CONFIDENCE;
  const level = levelOf(FIRST_LOOK, confidence);
  const [deviation, loss] = judgesRows(metric)
    ? [Math.sqrt(USUAL_FLIPS), USUAL_LOSS.rows]
    : [USUAL_DEVIATION, USUAL_LOSS.score];
  const asked = { kind: 'relative', margin: DEFAULT_MARGIN, ...gate, metric } as const;
  const usual: PowerAssumptions = {
    ...{ metric, deviation, difference: promptsOnly ? loss : 0 },
    level: levelOfOneTest(asked, level),
  };
  const margin = gate?.margin ?? null;
  const certifiable = certifiableMargin(rows, { ...usual, level: levelOfOneTest(asked, level, rows) });
  const least = certifiableMargin(rows, { ...usual, level, deviation: 0, difference: 0 });
  const needed = margin === null ? Infinity : rowsToCertify(margin, usual);
  return {
    rows,
    confidence,
    margin,
    certifiable_margin: shown(certifiable),
    least_margin: shown(least),
    rows_needed: Number.isFinite(needed) ? needed : null,
    decidable: margin === null ? null : margin < least ? 'no' : margin < certifiable ? 'unlikely' : 'yes',
  };
}

/** Rounds a margin up to four decimal places, so that the shown margin is certified, too; null if it is infinite. */
function shown(margin: number): number | null {
  return Number.isFinite(margin) ? Math.ceil(margin * 1e4) / 1e4 : null;
}
