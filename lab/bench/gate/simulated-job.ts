import { WATCHED_ROWS } from '../../../core/adaptation/measurements/measurements.ts';
import { driftOf } from '../../../core/method/evolution/drift.ts';
import type { Evolution } from '../../../core/method/evolution/evolution.ts';
import { analysesOf } from '../../../core/method/gate/look-plan.ts';
import { estimateOnAll, firstRows } from '../../../core/method/gate/measured-rows.ts';
import {
  endOfLook,
  judge,
  type Gate,
  type GateLook,
  type GateMeasurement,
  type SearchMeasurement,
} from '../../../core/method/gate/readiness-gate.ts';
import type { FineTuneRequest, LadderContext } from '../../../core/method/ladder/ladder-context.ts';
import type { LadderOutcome } from '../../../core/method/ladder/ladder-state.ts';
import { runStrategy } from '../../../core/method/ladder/strategies.ts';
import type { Adapter } from '../../../core/models/lora/adapter.ts';
import type { Strategy } from '../../../core/options/job-options.ts';
import { judgesRows, type MetricName } from '../../../core/options/metrics.ts';
import { countFlips } from '../../../core/statistics/paired-statistics.ts';
import { Random } from '../../../core/statistics/random.ts';

/** Model of a simulated job. */
export interface JobModel {
  readonly strategy: Strategy;
  /** Metric of the gate. Rows that are right or wrong have the scores 1 and 0, and the losses 0 and 1. */
  readonly metric: MetricName;
  readonly rows: number;
  readonly margin: number;
  /** True loss of every candidate against the old version, as a share of rows. */
  readonly deficit: number;
  /** Share of rows on which a candidate and the old version differ. */
  readonly flips: number;
  /** Share of rows that keep their random number from one candidate to the next, so that they flip alike. */
  readonly persistence: number;
  /** The job's `least_power`. */
  readonly leastPower: number;
}

const CONFIDENCE = 0.95;

/** Share of rows that the old version has right. */
const ACCURACY = 0.85;

const MODULE = 'layer';

/** Cache of verdicts for the jobs of one model. A verdict depends on the rows, the flips and the look alone. */
export type KeptVerdicts = Map<string, ReturnType<typeof judge>>;

/**
 * Runs a strategy's whole ladder with the real choice of candidates, looks and budget. There is no language model:
 * which rows a candidate has right is drawn at random, independently for search rows and gate rows.
 */
export function simulateJob(model: JobModel, seed: number, kept: KeptVerdicts): Promise<LadderOutcome> {
  const gate: Gate = { metric: model.metric, kind: 'relative', margin: model.margin, confidence: CONFIDENCE };
  const job = new SimulatedRows(model, seed);
  return runStrategy(model.strategy, contextOf(job, gate, seed), {
    gate,
    old: job.old,
    steps: 48,
    evaluateEvery: 8,
    search: { evaluations: 3 },
    leastPower: model.leastPower,
    judge: (rule, reference, found, look) => {
      // The bets depend on the order of the rows, too.
      if (!judgesRows(rule.metric)) return judge(rule, reference, found, look);
      const { rows, available } = found.metric;
      const { gains, losses } = countFlips(firstRows(reference!, rows).outcomes.values, found.outcomes.values);
      const key = JSON.stringify([rows, available, gains, losses, look]);
      const verdict = kept.get(key) ?? judge(rule, reference, found, look);
      kept.set(key, verdict);
      return verdict;
    },
  });
}

function contextOf(job: SimulatedRows, gate: Gate, seed: number): LadderContext {
  return {
    oldAdapter: ADAPTER,
    evolution: EVOLUTION,
    seed,
    signal: new AbortController().signal,
    createFresh: () => ({ ...ADAPTER }),
    searchRows: WATCHED_ROWS,
    searchLoss: async (adapter) => job.of(adapter).loss,
    searchMetric: async (adapter) => job.of(adapter).search,
    gateMetric: async (adapter, look) => lookAt(job.of(adapter).gate, gate, look),
    fineTune,
    publish: async () => undefined,
    phase: () => undefined,
    report: () => undefined,
    checkpoint: async () => undefined,
    now: () => 0,
  };
}

/** Measures the rows of a look in their order, until the look ends. */
export function lookAt(whole: GateMeasurement, gate: Gate, { reference, look }: GateLook): GateMeasurement {
  const { rows: available } = whole.metric;
  for (const rows of analysesOf(available).slice(0, -1)) {
    const { metric, outcomes } = firstRows(whole, rows);
    const found = estimateOnAll({ metric: { ...metric, available }, outcomes }, reference);
    if (endOfLook(gate, reference, found, look) !== null) return found;
  }
  return whole;
}

async function fineTune({ initial, steps, evaluateEvery, onEvaluate }: FineTuneRequest): Promise<void> {
  for (let step = evaluateEvery; step <= steps; step += evaluateEvery) {
    if ((await onEvaluate(step, { ...initial })) === 'stop') return;
  }
}

interface Measured {
  readonly gate: GateMeasurement;
  readonly search: SearchMeasurement;
  readonly loss: number;
}

/** Rows of a job with the results of each adapter on them. Consecutive adapters have similar results. */
class SimulatedRows {
  readonly old: GateMeasurement;
  readonly #model: JobModel;
  readonly #random: Random;
  readonly #gate: PairedRows;
  readonly #search: PairedRows;
  readonly #known = new WeakMap<Adapter, Measured>();

  constructor(model: JobModel, seed: number) {
    this.#model = model;
    this.#random = Random.fromSeed(seed);
    this.#gate = new PairedRows(model.rows, this.#random);
    this.#search = new PairedRows(WATCHED_ROWS, this.#random);
    const onSearch = measurementOf(model.metric, this.#search.before);
    this.old = { ...measurementOf(model.metric, this.#gate.before), onSearch };
  }

  of(adapter: Adapter): Measured {
    const known = this.#known.get(adapter);
    if (known) return known;
    const measured = {
      gate: measurementOf(this.#model.metric, this.#gate.next(this.#model)),
      search: measurementOf(this.#model.metric, this.#search.next(this.#model)),
      loss: 1 + (0.1 / Math.sqrt(WATCHED_ROWS)) * this.#random.normal(),
    };
    this.#known.set(adapter, measured);
    return measured;
  }
}

/**
 * Rows that the old version has right or wrong, each with a random number that decides whether a candidate flips it.
 */
class PairedRows {
  readonly before: number[];
  readonly #random: Random;
  readonly #chance: Float64Array;

  constructor(rows: number, random: Random) {
    this.#random = random;
    this.before = Array.from({ length: rows }, () => Number(random.uniform() < ACCURACY));
    this.#chance = Float64Array.from({ length: rows }, () => random.uniform());
  }

  /** Draws the rows that the next candidate has right (1) or wrong (0). */
  next({ deficit, flips, persistence }: JobModel): number[] {
    const lost = (flips + deficit) / 2 / ACCURACY;
    const gained = (flips - deficit) / 2 / (1 - ACCURACY);
    return this.before.map((right, row) => {
      if (this.#random.uniform() >= persistence) this.#chance[row] = this.#random.uniform();
      return this.#chance[row]! < (right ? lost : gained) ? 1 - right : right;
    });
  }
}

export function measurementOf(name: MetricName, right: readonly number[]): GateMeasurement {
  const rows = right.length;
  const values = name === 'loss' ? right.map((one) => 1 - one) : right;
  const value = values.reduce((sum, one) => sum + one, 0) / rows;
  const standardError = Math.sqrt((value * (1 - value)) / rows);
  return { metric: { name, value, rows, standardError }, outcomes: { values, tokens: values.map(() => 1) } };
}

const ONE = Float32Array.of(1);

/** Smallest possible adapter. Its measurements are simulated. */
const ADAPTER: Adapter = {
  config: { rank: 1, alpha: 1, useRslora: false, targetModules: [MODULE], rankPattern: {}, alphaPattern: {} },
  modules: new Map([[MODULE, { rank: 1, inFeatures: 1, outFeatures: 1, scaling: 1, a: ONE, b: ONE }]]),
};

const DRIFT = driftOf(1, 1);

const EVOLUTION: Evolution = {
  oldFingerprint: 'old',
  newFingerprint: 'new',
  rank: 1,
  modules: new Map([
    [
      MODULE,
      {
        outFeatures: 1,
        inFeatures: 1,
        rank: 1,
        u: ONE,
        s: ONE,
        v: ONE,
        rowSquares: Float32Array.of(1, 4, 1),
        ...DRIFT,
      },
    ],
  ]),
  unadaptable: new Map(),
  overall: DRIFT,
  adaptable: DRIFT,
};
