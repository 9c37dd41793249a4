import { criticalSlices } from '../../options/gates.ts';
import { judgesRows } from '../../options/metrics.ts';
import { criticalValues } from '../../statistics/sequential-paired-test.ts';
import type { Gate } from './gate-types.ts';

/** Number of rows after which a look is analysed first. Fewer certify only margins that few gates have. */
const FIRST_ANALYSIS = 200;

/** Number of rows between two analyses. */
const BETWEEN = 50;

/**
 * Largest number of rows after which right and wrong rows are analysed, other than all rows: the exact probabilities of
 * a design take time that grows with the square of its rows.
 */
const LAST_ANALYSIS = 2000;

/**
 * Returns the numbers of rows after which a look is analysed, ascending. The last is that of all rows, and the one
 * before leaves at least half an interval to it.
 */
export function analysesOf(rows: number): readonly number[] {
  const analyses: number[] = [];
  for (let at = FIRST_ANALYSIS; at <= Math.min(rows - BETWEEN / 2, LAST_ANALYSIS); at += BETWEEN) analyses.push(at);
  return [...analyses, rows];
}

/** Returns the number of analyses up to that of the given number of measured rows, this one included. */
export function analysesUpTo(measured: number, rows: number): number {
  return analysesOf(rows).filter((at) => at <= measured).length;
}

/**
 * Whether a look may certify a candidate before all rows are measured. A gate that counts negative flips, or judges
 * slices by their values, needs all rows; so does the bound of a loss, which holds for one analysis alone, an absolute
 * gate, and a margin for which right and wrong rows have no critical values.
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
 * Part of a look's level at which a single exact test of all rows certifies about as often as the look, which has
 * spent some of its level on earlier analyses. At margins that are so certified with a probability of 80 %, looks of
 * 225 to 1,600 rows of which 4 to 10 % flip certify with 78 to 92 % by the sums over all outcomes.
 */
const PART_OF_ONE_TEST = 0.4;

/**
 * Returns the level of a single test of all rows that certifies about as often as a look at a level.
 * @param rows number of gate rows; without it, enough for several analyses
 */
export function levelOfOneTest(gate: Gate, level: number, rows = LAST_ANALYSIS): number {
  const isInSequence = certifiesEarly(gate) && judgesRows(gate.metric) && analysesOf(rows).length > 1;
  return isInSequence ? PART_OF_ONE_TEST * level : level;
}

/** Test of right and wrong rows at one analysis. */
export interface AnalysisTest {
  /** Critical value of Tango's statistic, Infinity if nothing passes; null for the exact test of one analysis. */
  readonly value: number | null;
  /** Error probability of the exact test. */
  readonly level: number;
}

/**
 * Returns the test of a look's analysis after `measured` of `rows` rows that are right or wrong. If a look has more
 * rows than a design may have, half of its level is for the exact test of all rows.
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

/** Critical values of designs by their inputs. A worker's jobs often have the same. */
const known = new Map<string, readonly number[]>();

const MOST_KNOWN = 1000;

function knownValues(analyses: readonly number[], margin: number, level: number): readonly number[] {
  const key = JSON.stringify([analyses.at(-1), margin, level]);
  const values = known.get(key) ?? criticalValues({ analyses, margin, level });
  if (known.size >= MOST_KNOWN) known.clear();
  known.set(key, values);
  return values;
}
