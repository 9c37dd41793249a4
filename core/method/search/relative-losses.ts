import type { Observation } from './bayesian-optimization/surrogate.ts';
import { COPY, isSamePoint, type Coefficients } from '../fusion/coefficients.ts';

/** What is kept of one evaluation of the search. Plain JSON. */
export interface SearchRecord extends Coefficients {
  /** The first so many of the search's rows, in its own order, which is the same for all its points. */
  readonly rows: number;
  /** Mean completion loss on these rows, nats a token. */
  readonly loss: number;
}

/** A measured point: what its loss is against copy's. */
export interface RelativeLoss extends Coefficients {
  /** ln(loss / copy's loss); negative is better than copy. */
  readonly value: number;
  /** Rows that it rests on. */
  readonly rows: number;
}

/** Rows whose noise the model's noise variance is that of; fewer have more, in proportion. */
const ORDINARY_ROWS = 64;
/** What is far worse than copy need not be known exactly, and would hide from the model what is near. */
const WORST = 1;
/** A loss of zero has no logarithm. */
const LEAST = 1e-3;

/**
 * The points of one search with their losses against copy's, from comparisons on common rows alone: each point with the
 * reference on the rows that both have, and the reference with copy. The reference is the point measured on most rows
 * (the smaller loss among equals), so that close rivals are compared on many. Free of the task's own level of loss and
 * of which rows came first, so that searches of different adapters can be laid side by side.
 * @returns in the order in which points were first measured; empty where copy was not
 */
export function relativeLosses(records: readonly SearchRecord[]): RelativeLoss[] {
  const points = byPoint(records);
  const copy = points.find((point) => isSamePoint(point, COPY));
  if (!copy) return [];
  const reference = points.reduce((best, next) => (isDeeper(next, best) ? next : best));
  const level = logRatio(reference, copy).value;
  return points.map((point) => {
    const { alpha, beta } = point;
    if (point === copy) return { alpha, beta, value: 0, rows: copy.deepest };
    const { value, rows } = logRatio(point, reference);
    return { alpha, beta, value: value + level, rows: Math.min(rows, point.deepest) };
  });
}

/** As the model of the search takes them. */
export function toObservations(losses: readonly RelativeLoss[]): Observation[] {
  return losses.map(({ alpha, beta, value, rows }) => {
    return { point: [alpha, beta], value: Math.min(WORST, value), noiseScale: ORDINARY_ROWS / rows };
  });
}

/** Mean loss of measured coefficients on all rows that copy was measured on, estimated where they have fewer. */
export function estimatedLoss(records: readonly SearchRecord[], coefficients: Coefficients): number | null {
  const found = relativeLosses(records).find((point) => isSamePoint(point, coefficients));
  if (!found) return null;
  const copy = records.findLast((record) => isSamePoint(record, COPY))!;
  return copy.loss * Math.exp(found.value);
}

interface MeasuredPoint extends Coefficients {
  /** Mean loss by number of rows. */
  readonly losses: Map<number, number>;
  deepest: number;
}

function byPoint(records: readonly SearchRecord[]): MeasuredPoint[] {
  const points: MeasuredPoint[] = [];
  for (const record of records) {
    const { alpha, beta, rows, loss } = record;
    let point = points.find((known) => isSamePoint(known, record));
    if (!point) points.push((point = { alpha, beta, losses: new Map(), deepest: 0 }));
    point.losses.set(rows, loss);
    point.deepest = Math.max(point.deepest, rows);
  }
  return points;
}

function isDeeper(a: MeasuredPoint, b: MeasuredPoint): boolean {
  if (a.deepest !== b.deepest) return a.deepest > b.deepest;
  return a.losses.get(a.deepest)! < b.losses.get(b.deepest)!;
}

/** ln(loss of a / loss of b) on the most rows on which both were measured; every search measures all points on its first. */
function logRatio(a: MeasuredPoint, b: MeasuredPoint): { readonly value: number; readonly rows: number } {
  const rows = Math.max(...[...a.losses.keys()].filter((count) => b.losses.has(count)));
  const [lossA, lossB] = [a.losses.get(rows)!, b.losses.get(rows)!];
  return {
    value: Math.log(Math.max(lossA, LEAST * lossB, Number.MIN_VALUE) / Math.max(lossB, Number.MIN_VALUE)),
    rows,
  };
}
