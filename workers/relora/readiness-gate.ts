import { AdaptationError } from './errors.ts';

/** Accuracies are shares from 0 to 1, larger is better; loss is in nats a completion token, smaller is better. */
export type MetricName = 'accuracy' | 'exact_match' | 'loss';

export interface MetricValue {
  readonly name: MetricName;
  readonly value: number;
  /** Rows it was measured on. */
  readonly rows: number;
  readonly standardError: number;
}

/** What an adapter must reach: a fixed value, or the old version's metric on the old base less a margin. */
export type Gate =
  | { readonly metric: MetricName; readonly kind: 'absolute'; readonly target: number }
  | { readonly metric: MetricName; readonly kind: 'relative'; readonly margin: number };

export interface GateTarget {
  readonly metric: MetricName;
  readonly value: number;
}

/** Guards against rounding in a sum of rows, not against noise. */
const ROUNDING = 1e-9;

/**
 * The value to be reached.
 * @param old the old version's metric on the old base; needed by a relative gate only
 * @throws AdaptationError `invalid_gate` or `metric_mismatch`
 */
export function resolveTarget(gate: Gate, old: MetricValue | null): GateTarget {
  const given = gate.kind === 'absolute' ? gate.target : gate.margin;
  if (!Number.isFinite(given)) throw new AdaptationError('invalid_gate', `gate value is ${given}, expected a finite number`);
  if (gate.kind === 'absolute') return { metric: gate.metric, value: gate.target };
  if (!old) {
    throw new AdaptationError('invalid_gate', "a relative gate needs the old version's metric on the old base, found none");
  }
  requireMetric(gate.metric, old);
  return { metric: gate.metric, value: gate.metric === 'loss' ? old.value + gate.margin : old.value - gate.margin };
}

export function passes(target: GateTarget, metric: MetricValue): boolean {
  requireMetric(target.metric, metric);
  if (metric.name === 'loss') return metric.value <= target.value + ROUNDING;
  return metric.value >= target.value - ROUNDING;
}

/** Whether `a` is better than `b`, beyond rounding; a value that is not finite (training diverged) is the worst. */
export function isBetter(a: MetricValue, b: MetricValue): boolean {
  requireMetric(a.name, b);
  if (!Number.isFinite(a.value) || !Number.isFinite(b.value)) return Number.isFinite(a.value);
  return a.name === 'loss' ? a.value < b.value - ROUNDING : a.value > b.value + ROUNDING;
}

/** Accuracy or exact match of `correct` rows out of `rows`, with the standard error of a proportion. */
export function proportionMetric(name: 'accuracy' | 'exact_match', correct: number, rows: number): MetricValue {
  requireRows(rows);
  const value = correct / rows;
  return { name, value, rows, standardError: Math.sqrt((value * (1 - value)) / rows) };
}

/**
 * Mean completion loss with its standard error over rows: the ratio Σ loss / Σ tokens, by the delta method.
 * @param lossSums Σ nll of each row's completion, nats
 * @param tokens completion tokens of each row
 */
export function lossMetric(lossSums: ArrayLike<number>, tokens: ArrayLike<number>): MetricValue {
  const rows = lossSums.length;
  requireRows(rows);
  let losses = 0;
  let count = 0;
  for (let i = 0; i < rows; i++) {
    losses += lossSums[i]!;
    count += tokens[i]!;
  }
  const value = losses / count;
  let squares = 0;
  for (let i = 0; i < rows; i++) squares += (lossSums[i]! - value * tokens[i]!) ** 2;
  const standardError = rows > 1 ? Math.sqrt((squares * rows) / (rows - 1)) / count : Infinity;
  return { name: 'loss', value, rows, standardError };
}

/**
 * A sentence where the rows cannot resolve a relative gate's margin (the standard error is larger than the margin), with
 * about how many would; null where they can.
 */
export function rowsWarning(gate: Gate, metric: MetricValue): string | null {
  if (gate.kind === 'absolute' || metric.standardError <= Math.abs(gate.margin)) return null;
  const { name, rows, standardError } = metric;
  const found = `${rows} gate rows give ${name} a standard error of ${standardError.toPrecision(2)}`;
  if (gate.margin === 0) return `${found}; a margin of 0 is below any number of rows`;
  const needed = Math.ceil(rows * (standardError / gate.margin) ** 2);
  return `${found}, the gate's margin is ${gate.margin}: a pass or failure may be chance; about ${needed} rows would tell`;
}

function requireMetric(expected: MetricName, { name }: MetricValue): void {
  if (name === expected) return;
  throw new AdaptationError('metric_mismatch', `metric is ${name}, expected ${expected}`);
}

function requireRows(rows: number): void {
  if (!(rows > 0)) throw new AdaptationError('invalid_gate', `metric of ${rows} rows, expected at least 1`);
}
