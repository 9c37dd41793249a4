import type { Adapter, LoraFactors } from '../../../../workers/models/adapter.ts';
import type {
  AdaptationContext,
  AdaptationEvent,
  Candidate,
  CandidateRecord,
  FineTuneRequest,
  LadderPhase,
  LadderState,
  RungName,
} from '../../../../workers/relora/adaptation.ts';
import { Random } from '../../../../workers/models/random.ts';
import type { FleetSearches } from '../../../../workers/relora/fleet-prior.ts';
import { matmul, transposedMatmul } from '../../../../workers/relora/linalg/matmul.ts';
import { matrix, scaleColumns, transpose, type Matrix } from '../../../../workers/relora/linalg/matrix.ts';
import type { GateMeasurement } from '../../../../workers/relora/readiness-gate.ts';
import { anchorOf, l2Coefficient, withL2Gradients, type Penalty } from '../../../../workers/relora/regularisation.ts';
import { bestApproximation, evolutionOf, productOf, randomAdapter } from './adapters.ts';
import { randomMatrix } from './matrices.ts';

export const SHAPE = { name: 'layer', outFeatures: 12, inFeatures: 10 };
const RANK = 3;

/** How the new base differs from what the task wants: a task optimum at (bestAlpha, bestBeta) plus what only training finds. */
export interface ToyOptions {
  /** Size of the base's change; 0 leaves copy perfect. */
  readonly change?: number;
  readonly bestAlpha?: number;
  readonly bestBeta?: number;
  /** Size of a part of the task's optimum that no fusion reaches. */
  readonly novelty?: number;
  readonly learningRate?: number;
  readonly canTrain?: boolean;
  /** Standard deviation of what each look at the gate adds to the loss of a row, drawn anew for every look. */
  readonly gateNoise?: number;
  readonly fleetSearches?: FleetSearches;
  /** Called before every call of the context; may throw, as a killed process would. */
  readonly before?: (call: string) => void;
}

/**
 * A model that is one linear layer: the loss of an adapter is the mean squared difference of its product from the wanted
 * one, on some rows of the matrix for the search and on the others for the gate. Fine-tuning is gradient descent.
 * What was kept at checkpoints survives in the object, as on disk; `context()` is a new process.
 */
export class ToyAdaptation {
  readonly calls: string[] = [];
  readonly events: AdaptationEvent[] = [];
  readonly published: Candidate[] = [];
  /** Phase that was current at each call. */
  readonly phases: string[] = [];
  readonly controller = new AbortController();
  readonly old: Adapter;
  readonly #options: ToyOptions;
  readonly #delta: Matrix;
  readonly #wanted: Matrix;
  readonly #random = Random.fromSeed(8);
  #phase: LadderPhase | 'none' = 'none';
  #saved: { state: string; best: Candidate | null } | null = null;
  #trained: { rung: RungName; step: number; adapter: Adapter } | null = null;

  constructor(options: ToyOptions = {}) {
    const { change = 0.5, bestAlpha = 1, bestBeta = -1, novelty = 0 } = options;
    this.#options = options;
    this.old = randomAdapter([SHAPE], RANK, RANK, 11);
    const direction = matmul(randomMatrix(SHAPE.outFeatures, 1, 12), randomMatrix(1, SHAPE.inFeatures, 13));
    this.#delta = scaled(direction, change);
    const unreachable = scaled(matmul(randomMatrix(SHAPE.outFeatures, 1, 14), randomMatrix(1, SHAPE.inFeatures, 15)), novelty);
    const fused = productOf(this.old.modules.get('layer')!).data.map((value, i) => bestAlpha * value + bestBeta * this.#delta.data[i]!);
    const wanted = { ...direction, data: fused.map((value, i) => value + unreachable.data[i]!) };
    // Of the adapter's rank, so that training can reach it.
    this.#wanted = bestApproximation(wanted, RANK);
  }

  context(): AdaptationContext {
    return {
      oldAdapter: this.old,
      evolution: evolutionOf(new Map([['layer', this.#delta]])),
      seed: 3,
      signal: this.controller.signal,
      createFresh: (seed) => emptied(randomAdapter([SHAPE], RANK, RANK, seed)),
      searchRowTokens: this.#rowTokens(),
      searchRowLosses: async (adapter, rows) => this.#call('search', () => this.#rowLosses(adapter, rows, 0)),
      canTrain: this.#options.canTrain ?? true,
      fleetSearches: this.#options.fleetSearches ?? [],
      gateMetric: async (adapter) => this.#call('gate', () => this.metric(adapter)),
      fineTune: (request) => this.#fineTune(request),
      publish: async (candidate) => this.#call(`publish ${candidate.id}`, () => void this.published.push(candidate)),
      phase: (phase) => void (this.#phase = phase),
      report: (event) => void this.events.push(event),
      checkpoint: async (state, best) => this.#call('checkpoint', () => void (this.#saved = { state: JSON.stringify(state), best })),
      ...(this.#saved ? { resume: this.#resume(this.#saved) } : {}),
    };
  }

  /** Mean squared difference on the even (0) or odd (1) rows. */
  loss(adapter: Adapter, parity: 0 | 1): number {
    const error = this.#error(adapter);
    let sum = 0;
    for (let i = parity; i < error.rows; i += 2) for (let j = 0; j < error.cols; j++) sum += error.data[i * error.cols + j]! ** 2;
    return sum / (error.data.length / 2);
  }

  /** Summed squared differences of some of the even (0) or odd (1) rows. */
  #rowLosses(adapter: Adapter, rows: readonly number[], parity: 0 | 1): number[] {
    const { data, cols } = this.#error(adapter);
    const sumOf = (row: number) => data.subarray(row * cols, (row + 1) * cols).reduce((sum, error) => sum + error ** 2, 0);
    return rows.map((row) => sumOf(2 * row + parity));
  }

  #rowTokens(): number[] {
    return new Array<number>(SHAPE.outFeatures / 2).fill(SHAPE.inFeatures);
  }

  /** The loss on the odd rows, each of which is a row of the gate. */
  metric(adapter: Adapter): GateMeasurement {
    const noise = this.#options.gateNoise ?? 0;
    const exact = this.#rowLosses(adapter, [...this.#rowTokens().keys()], 1);
    const values = exact.map((loss) => loss + noise * SHAPE.inFeatures * this.#random.normal());
    return {
      metric: { name: 'loss', value: this.loss(adapter, 1), rows: values.length, standardError: 0.001 },
      outcomes: { values, tokens: this.#rowTokens() },
    };
  }

  count(call: string): number {
    return this.calls.filter((made) => made === call).length;
  }

  rungs(): string[] {
    return this.events.flatMap((event) => (event.type === 'rung' ? [event.rung] : []));
  }

  #resume({ state, best }: { state: string; best: Candidate | null }) {
    return { state: JSON.parse(state) as LadderState, bestAdapter: best && best.step > 0 ? best.adapter : null };
  }

  #call<T>(name: string, result: () => T): T {
    this.#options.before?.(name);
    if (name !== 'checkpoint') this.calls.push(name);
    this.phases.push(`${name.split(' ')[0]} in ${this.#phase}`);
    return result();
  }

  async #fineTune({ rung, initial, regularisation, steps, evaluateEvery, onEvaluate }: FineTuneRequest): Promise<void> {
    let { step, adapter } = this.#trained?.rung === rung ? this.#trained : { step: 0, adapter: initial };
    while (step < steps) {
      this.controller.signal.throwIfAborted();
      const { space } = regularisation;
      const penalty = { lambda: l2Coefficient(regularisation, step, steps), space, anchor: anchorOf(regularisation, initial) };
      adapter = this.#call('step', () => this.#descend(adapter, penalty));
      step++;
      if (step % evaluateEvery !== 0 && step !== steps) continue;
      const verdict = await onEvaluate(step, adapter);
      this.#trained = { rung, step, adapter };
      if (verdict === 'stop') return;
    }
  }

  #descend(adapter: Adapter, penalty: Penalty): Adapter {
    const factors = adapter.modules.get('layer')!;
    const { rank, outFeatures, inFeatures, scaling } = factors;
    const error = scaled(this.#error(adapter), (2 * scaling) / (outFeatures * inFeatures));
    const b = matmul(error, transpose(matrix(rank, inFeatures, factors.a)));
    const a = transposedMatmul(matrix(outFeatures, rank, factors.b), error);
    const raw = new Map([['layer', { a: Float32Array.from(a.data), b: Float32Array.from(b.data) }]]);
    const gradients = withL2Gradients(raw, adapter, penalty).get('layer')!;
    const rate = this.#options.learningRate ?? 2;
    const moved = (values: Float32Array, gradient: Float32Array) => values.map((value, i) => value - rate * gradient[i]!);
    const next: LoraFactors = { ...factors, a: moved(factors.a, gradients.a), b: moved(factors.b, gradients.b) };
    return { ...adapter, modules: new Map([['layer', next]]) };
  }

  #error(adapter: Adapter): Matrix {
    const product = productOf(adapter.modules.get('layer')!);
    return { ...product, data: product.data.map((value, i) => value - this.#wanted.data[i]!) };
  }
}

export const ids = (candidates: readonly CandidateRecord[]) => candidates.map(({ id }) => id);

function scaled(a: Matrix, factor: number): Matrix {
  return scaleColumns(a, new Float64Array(a.cols).fill(factor));
}

function emptied(adapter: Adapter): Adapter {
  const modules = [...adapter.modules].map(([name, factors]) => [name, { ...factors, b: factors.b.map(() => 0) }] as const);
  return { ...adapter, modules: new Map(modules) };
}
