import { COPY, isSamePoint, type Coefficients } from '../fusion/coefficients.ts';
import type { Observation } from './bayesian-optimization/surrogate.ts';

/** One evaluation of a search. Plain JSON. */
export interface SearchRecord extends Coefficients {
  /** Number of rows: the first so many of the search's order of rows, which is the same for all its points. */
  readonly rows: number;
  /** Mean completion loss on these rows, in nats per token. */
  readonly loss: number;
}

/** A measured point with its loss relative to copy's. */
interface RelativeLoss extends Coefficients {
  /** ln(loss / copy's loss); negative means better than copy. */
  readonly value: number;
  /** Number of rows that the value rests on. */
  readonly rows: number;
}

/** Number of rows to which the model's noise variance refers. Fewer rows have proportionally more noise. */
const REFERENCE_ROWS = 64;
/**
 * Largest relative loss that the model sees. Points that are far worse than copy need not be known exactly, and their
 * values would hide the differences between good points.
 */
const LARGEST_VALUE = 1;
/** Smallest ratio of two losses, because a loss of zero has no logarithm. */
const SMALLEST_RATIO = 1e-3;

/**
 * The points of one search with their losses relative to copy's. Losses are only compared on common rows: each point with
 * a reference on the rows that both have, and the reference with copy. The reference is the point measured on the most rows
 * (of several, the one with the smallest loss), so that as many points as possible are compared on many rows. The results
 * depend neither on the level of the loss nor on which rows came first.
 * @returns the points in the order in which they were first measured, without those that cannot be compared with copy; empty
 *   if copy was not measured
 */
export function relativeLosses(records: readonly SearchRecord[]): RelativeLoss[] {
  const points = byPoint(records);
  const copy = points.find((point) => isSamePoint(point, COPY));
  if (!copy) return [];
  const comparable = points.filter((point) => logRatio(point, copy).rows > 0);
  const reference = comparable.reduce((best, next) => (isDeeper(next.deepest, best.deepest) ? next : best), copy);
  const level = logRatio(reference, copy).value;
  return points.flatMap((point) => {
    const { alpha, beta, deepest } = point;
    if (point === copy) return [{ alpha, beta, value: 0, rows: deepest.rows }];
    const { value, rows } = logRatio(point, reference);
    return rows > 0 ? [{ alpha, beta, value: value + level, rows }] : [];
  });
}

/** What the model of a search learns from its records: {@link relativeLosses}, cut off above, with their noise. */
export function relativeObservations(records: readonly SearchRecord[]): Observation[] {
  return relativeLosses(records).map(({ alpha, beta, value, rows }) => {
    return { point: [alpha, beta], value: Math.min(LARGEST_VALUE, value), noiseScale: REFERENCE_ROWS / rows };
  });
}

/**
 * Mean loss of measured coefficients on all rows that copy was measured on; it is estimated if they were measured on fewer.
 * @returns null if the coefficients or copy were not measured
 */
export function estimatedLoss(records: readonly SearchRecord[], coefficients: Coefficients): number | null {
  const found = relativeLosses(records).find((point) => isSamePoint(point, coefficients));
  const copy = records.findLast((record) => isSamePoint(record, COPY));
  return found && copy ? copy.loss * Math.exp(found.value) : null;
}

interface MeasuredPoint extends Coefficients {
  /** Mean loss by number of rows. */
  readonly losses: Map<number, number>;
  /** The evaluation on the most rows. */
  deepest: SearchRecord;
}

function byPoint(records: readonly SearchRecord[]): MeasuredPoint[] {
  const points: MeasuredPoint[] = [];
  for (const record of records) {
    const { alpha, beta, rows, loss } = record;
    let point = points.find((known) => isSamePoint(known, record));
    if (!point) points.push((point = { alpha, beta, losses: new Map(), deepest: record }));
    point.losses.set(rows, loss);
    if (rows >= point.deepest.rows) point.deepest = record;
  }
  return points;
}

function isDeeper(a: SearchRecord, b: SearchRecord): boolean {
  return a.rows === b.rows ? a.loss < b.loss : a.rows > b.rows;
}

/**
 * ln(loss of a / loss of b) on the largest number of rows on which both were measured; 0 rows if there is none. That happens
 * where a search was interrupted by an upgrade, since versions differ in the numbers of rows that they measure on.
 */
function logRatio(a: MeasuredPoint, b: MeasuredPoint): { readonly value: number; readonly rows: number } {
  let found = { value: NaN, rows: 0 };
  for (const [rows, lossA] of a.losses) {
    const lossB = b.losses.get(rows);
    if (lossB === undefined || rows <= found.rows) continue;
    const floored = Math.max(lossA, SMALLEST_RATIO * lossB, Number.MIN_VALUE);
    found = { value: Math.log(floored / Math.max(lossB, Number.MIN_VALUE)), rows };
  }
  return found;
}
