import { FIRST_LOOK, type Look } from '../../../core/method/gate/error-budget.ts';
import { judge, type Gate, type GateMeasurement } from '../../../core/method/gate/readiness-gate.ts';
import type { MetricName } from '../../../core/options/metrics.ts';
import { Random } from '../../../core/statistics/random.ts';
import { lookAt, measurementOf } from '../../bench/gate/simulated-job.ts';
import type { Duration } from '../report/readiness.ts';
import type { RecordedJob, RecordedLook } from './recorded-job.ts';

/** Changes to looks that a replay prices. */
export interface LookChanges {
  /**
   * Part of the job's error probability that each look may use, by its number from 1; null for those of the product.
   */
  readonly partOf: ((number: number) => number) | null;
  /** Time of a row relative to the recorded one, by metric. A metric without one takes as long as recorded. */
  readonly rowCost: Partial<Readonly<Record<MetricName, number>>>;
}

export interface ReplayedJob {
  readonly duration: Duration;
  /** Milliseconds of the looks. */
  readonly lookMs: number;
  /** Number of gate rows measured in each look. */
  readonly rows: readonly number[];
}

const CONFIDENCE = 0.95;

/**
 * Runs the looks of a recorded job again, on rows drawn like the recorded ones, in a random order. All else takes as
 * long as recorded. The job ends with the first certified candidate. A candidate that was certified in the record and
 * is not now ends the job as not ready, because nothing is known of what would have followed.
 */
export function replayJob(
  { metric, old, looks, cell }: RecordedJob,
  changes: LookChanges,
  { gateRows, margin, seed }: { readonly gateRows: number; readonly margin: number; readonly seed: number },
): ReplayedJob {
  const random = Random.fromSeed(seed);
  const cost = changes.rowCost[metric] ?? 1;
  const rows: number[] = [];
  let [lookMs, saved] = [0, 0];
  for (const [index, look] of looks.entries()) {
    const [reference, candidate] = drawLook({ metric, old, look, gateRows }, random);
    const [gate, place] = positionOf({ metric, margin, number: index + 1 }, changes.partOf);
    const found = lookAt(candidate, gate, { reference, look: place });
    const ms = ((look.ms * found.metric.rows) / look.measured) * cost;
    rows.push(found.metric.rows);
    lookMs += ms;
    saved += look.ms - ms;
    if (judge(gate, reference, found, place).verdict !== 'passed') continue;
    return { duration: { ms: look.endedAt - saved, happened: true }, lookMs, rows };
  }
  return { duration: { ms: cell.elapsedMs - saved, happened: false }, lookMs, rows };
}

function positionOf(
  { metric, margin, number }: { readonly metric: MetricName; readonly margin: number; readonly number: number },
  partOf: LookChanges['partOf'],
): [Gate, Look] {
  const gate: Gate = { metric, kind: 'relative', margin, confidence: CONFIDENCE };
  const look: Look = { ...FIRST_LOOK, number, total: number };
  if (partOf === null) return [gate, look];
  // An only look may use all of the error probability, so that the confidence gives the part.
  return [
    { ...gate, confidence: 1 - (1 - CONFIDENCE) * partOf(number) },
    { ...look, isOnly: true },
  ];
}

/** Draws the outcomes of the old version and of a look's candidate on the gate rows, in the order of the look. */
export function drawLook(
  drawn: { readonly metric: MetricName; readonly old: number; readonly look: RecordedLook; readonly gateRows: number },
  random: Random,
): [GateMeasurement, GateMeasurement] {
  const { metric, old, look, gateRows } = drawn;
  const pairs = look.scores
    ? drawScores(look.scores, look.difference, gateRows, random)
    : drawJudged({ right: Math.round(old * gateRows), look, gateRows }, random);
  return [
    measurementOf(
      metric,
      pairs.map(([before]) => before),
    ),
    measurementOf(
      metric,
      pairs.map(([, after]) => after),
    ),
  ];
}

type Pair = readonly [old: number, candidate: number];

function drawJudged(
  { right, look, gateRows }: { readonly right: number; readonly look: RecordedLook; readonly gateRows: number },
  random: Random,
): Pair[] {
  const net = Math.round(look.difference * gateRows);
  const gains = Math.min(gateRows - right, Math.max(look.gains!, net, 0));
  const losses = Math.min(right, gains - net);
  return random.shuffle(
    Array.from({ length: gateRows }, (_, row): Pair => {
      if (row < right) return [1, row < losses ? 0 : 1];
      return [0, row - right < gains ? 1 : 0];
    }),
  );
}

function drawScores(
  { old, candidate }: NonNullable<RecordedLook['scores']>,
  difference: number,
  gateRows: number,
  random: Random,
): Pair[] {
  const tested = random.shuffle(old.map((score, row): Pair => [score, candidate[row]!]));
  const drawn = Array.from({ length: gateRows }, (_, row) => tested[row % tested.length]!);
  const found = drawn.reduce((sum, [before, after]) => sum + after - before, 0) / gateRows;
  return drawn.map(([before, after]): Pair => [before, Math.min(1, Math.max(0, after + difference - found))]);
}
