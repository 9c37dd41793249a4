import { DEFAULT_CONFIDENCE, type GateRule } from '../../options/gates.ts';
import { isGenerated, judgesRows, type MetricName } from '../../options/metrics.ts';
import { FIRST_LOOK, levelOf } from './error-budget.ts';
import { certifiableMargin, rowsToCertify, type PowerAssumptions } from './power.ts';

/** Assumed share of rows that flip between two versions of about the same quality, before any measurement. */
const USUAL_FLIPS = 0.04;

/** Assumed standard deviation of a row's difference in score, before any measurement. */
const USUAL_DEVIATION = 0.1;

/**
 * Assumed loss of a version against the one whose answers count as right, on which it cannot improve. Where rows are
 * right or wrong, four of a hundred flip; where they have scores, each of these loses half of its score. The latter
 * also gives the usual deviation.
 */
const USUAL_LOSS = { rows: -USUAL_FLIPS, score: -USUAL_FLIPS / 2 };

/** Advice on what a number of gate rows can certify, computed before anything has run. Plain JSON. */
export interface GateAdvice {
  readonly rows: number;
  readonly confidence: number;
  /** Margin of the gate; null if none is given. */
  readonly margin: number | null;
  /**
   * Smallest margin that the rows certify with a probability of 80 % for a version that differs from the old one as
   * much as usual; null if they certify none.
   */
  readonly certifiable_margin: number | null;
  /**
   * Smallest margin that the rows certify for a version that differs from the old one in no row; null if they certify
   * none.
   */
  readonly least_margin: number | null;
  /**
   * Approximate number of rows that would certify the gate's margin with a probability of 80 %; null without a margin,
   * or if no number would do, as for a margin of 0.
   */
  readonly rows_needed: number | null;
  /**
   * Whether the rows can certify the gate's margin. `no`: not even for a version that differs in no row. `unlikely`:
   * the margin is smaller than `certifiable_margin`. `yes`: otherwise. Null without a margin.
   */
  readonly decidable: 'yes' | 'unlikely' | 'no' | null;
}

/** Properties of the gate rows that the advice is about. */
interface AdvisedRows {
  readonly metric: MetricName;
  /** Whether the rows are prompts alone. The old version's own answers then count as right. */
  readonly promptsOnly: boolean;
}

/**
 * Estimates what the gate rows can certify at a job's first look. Returns null for the metric loss, whose spread is
 * unknown before it is measured; for an absolute gate; and for rows that are prompts alone with a metric that needs
 * answers.
 */
export function gateAdvice(rows: number, { metric, promptsOnly }: AdvisedRows, gate?: GateRule): GateAdvice | null {
  if (metric === 'loss' || rows < 1 || gate?.kind === 'absolute' || (promptsOnly && !isGenerated(metric))) return null;
  const confidence = gate?.confidence ?? DEFAULT_CONFIDENCE;
  const level = levelOf(FIRST_LOOK, confidence);
  const [deviation, loss] = judgesRows(metric)
    ? [Math.sqrt(USUAL_FLIPS), USUAL_LOSS.rows]
    : [USUAL_DEVIATION, USUAL_LOSS.score];
  const usual: PowerAssumptions = { metric, level, deviation, difference: promptsOnly ? loss : 0 };
  const margin = gate?.margin ?? null;
  const certifiable = certifiableMargin(rows, usual);
  const least = certifiableMargin(rows, { ...usual, deviation: 0, difference: 0 });
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

/** Rounds a margin up, so that the margin that is shown is certified; null if it is not finite. */
function shown(margin: number): number | null {
  return Number.isFinite(margin) ? Math.ceil(margin * 1e4) / 1e4 : null;
}
