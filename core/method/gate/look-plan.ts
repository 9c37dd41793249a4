import { criticalSlices } from '../../options/gates.ts';
import { judgesRows } from '../../options/metrics.ts';
import { criticalValues } from '../../statistics/sequential-paired-test.ts';
import type { Gate } from './gate-types.ts';

/** Number of measured rows at the first analysis of a look. Fewer rows certify only margins that few gates have. */
const FIRST_ANALYSIS = 200;

/** Number of rows that are measured between two analyses of a look. */
const BETWEEN = 50;

/**
 * Largest number of measured rows at which a look is analysed before all rows are measured. For rows that are right or
 * wrong, computing the exact probabilities of a design takes time that grows with the square of its rows.
 */
const LAST_ANALYSIS = 2000;

/**
 * Returns the numbers of measured rows at which a look is analysed, in ascending order. The last one is the number of
 * all rows, and the last but one is smaller by at least half an interval.
 */
export function analysesOf(rows: number): readonly number[] {
  const analyses: number[] = [];
  for (let at = FIRST_ANALYSIS; at <= Math.min(rows - BETWEEN / 2, LAST_ANALYSIS); at += BETWEEN) analyses.push(at);
  return [...analyses, rows];
}

/**
 * Returns the number of analyses that a look has had when `measured` of its `rows` rows are measured, including the
 * analysis at that point.
 */
export function analysesUpTo(measured: number, rows: number): number {
  return analysesOf(rows).filter((at) => at <= measured).length;
}

/**
 * Whether a look may certify a candidate before all rows are measured. False for a gate that counts negative flips or
 * judges critical slices by their values, for an absolute gate, for the metric `loss`, whose bound holds for one
 * analysis alone, and for a margin outside (0, 1) if rows are right or wrong, because such a margin has no critical
 * values.
 */
export function certifiesEarly(gate: Gate): boolean {
  return (
    gate.kind !== 'absolute' &&
    gate.metric !== 'loss' &&
    gate.max_negative_flips === undefined &&
    criticalSlices(gate).length === 0 &&
    (!judgesRows(gate.metric) || (gate.margin > 0 && gate.margin < 1))
  );
}

/**
 * Level of a single exact test of all rows, as a share of a look's level, at which the test certifies about as often as
 * the look. It is below 1 because the look has spent some of its level on earlier analyses. At margins that the single
 * test certifies with a probability of 80 %, looks at 225 to 1,600 rows of which 4 to 10 % flip certify with a
 * probability of 78 to 92 %, computed by sums over all outcomes.
 */
const PART_OF_ONE_TEST = 0.4;

/**
 * Returns the level at which a single test of all rows certifies about as often as a look at the given level.
 * @param rows number of gate rows. Default: enough rows for several analyses
 */
export function levelOfOneTest(gate: Gate, level: number, rows = LAST_ANALYSIS): number {
  const isInSequence = certifiesEarly(gate) && judgesRows(gate.metric) && analysesOf(rows).length > 1;
  return isInSequence ? PART_OF_ONE_TEST * level : level;
}

/** Test of right and wrong rows at one analysis. */
export interface AnalysisTest {
  /**
   * Critical value of Tango's statistic in a sequence of analyses; Infinity if no outcome passes; null if the exact
   * test is made instead.
   */
  readonly value: number | null;
  /** Error probability of the exact test. */
  readonly level: number;
}

/**
 * Returns the test for one analysis of a look, after `measured` of its `rows` rows, which are right or wrong. If the
 * look has more rows than a design may have, half of its level is reserved for the exact test of all rows.
 */
export function testAt(
  gate: Gate,
  { measured, rows, level }: { measured: number; rows: number; level: number },
): AnalysisTest {
  const analyses = analysesOf(rows);
  if (!certifiesEarly(gate) || gate.kind === 'absolute' || analyses.length === 1) return { value: null, level };
  const isLong = rows > LAST_ANALYSIS + BETWEEN / 2;
  if (isLong && measured === rows) return { value: null, level: level / 2 };
  const design = isLong ? analyses.slice(0, -1) : analyses;
  const value = knownValues(design, gate.margin, isLong ? level / 2 : level)[design.indexOf(measured)];
  return { value: value ?? Infinity, level };
}

/**
 * Cache of critical values, by the arguments that they are computed from. Jobs of a worker often share these arguments.
 */
const known = new Map<string, readonly number[]>();

const MOST_KNOWN = 1000;

function knownValues(analyses: readonly number[], margin: number, level: number): readonly number[] {
  const key = JSON.stringify([analyses.at(-1), margin, level]);
  const values = known.get(key) ?? criticalValues({ analyses, margin, level });
  if (known.size >= MOST_KNOWN) known.clear();
  known.set(key, values);
  return values;
}
