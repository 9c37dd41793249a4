import type { Adapter, LoraFactors, TrainableArrays } from '../../../../core/models/lora/adapter.ts';
import type { Candidate, CandidateRecord, RungName } from '../../../../core/method/ladder/candidate.ts';
import type {
  FineTuneRequest,
  LadderContext,
  LadderEvent,
  LadderPhase,
} from '../../../../core/method/ladder/ladder-context.ts';
import type { LadderState } from '../../../../core/method/ladder/ladder-state.ts';
import { Random } from '../../../../core/statistics/random.ts';
import { matmul, transposedMatmul } from '../../../../core/linalg/matmul.ts';
import { matrix, scaleColumns, transpose, type Matrix } from '../../../../core/linalg/matrix.ts';
import type { GateMeasurement, SearchMeasurement } from '../../../../core/method/gate/readiness-gate.ts';
import {
  anchorOf,
  l2Coefficient,
  withL2Gradients,
  type Penalty,
} from '../../../../core/method/regularization/regularization.ts';
import { bestApproximation, evolutionOf, productOf, randomAdapter } from './adapters.ts';
import { randomMatrix } from './matrices.ts';

const IN_FEATURES = 10;
const RANK = 3;

/**
 * Difference between the new base and the task: a task optimum at (bestAlpha, bestBeta), and a part that only training
 * finds.
 */
export interface ToyOptions {
  /** Size of the base's change; 0 leaves copy perfect. */
  readonly change?: number;
  readonly bestAlpha?: number;
  readonly bestBeta?: number;
  /** Half of the layer's rows. Default 6, which are too few to distinguish any two adapters. */
  readonly searchRows?: number;
  /** Size of the part of the task's optimum that no fusion reaches. */
  readonly novelty?: number;
  readonly learningRate?: number;
  readonly canTrain?: boolean;
  /**
   * Standard deviation of the noise that each evaluation by the gate adds to the loss of a row, drawn anew every time.
   */
  readonly gateNoise?: number;
  /** Reported standard error of the loss on the search rows. By default it is so large that everything is plausible. */
  readonly doubt?: number;
  /** Called before every call of the context; may throw, as a killed process would. */
  readonly before?: (call: string) => void;
}

const LAYER = 'layer';

interface Layer {
  /** Change of the base. */
  readonly delta: Matrix;
  readonly wanted: Matrix;
}

/**
 * Model of one linear layer: the loss of an adapter is the squared difference between its product and the wanted one,
 * averaged over elements, on some rows of the matrix for the search and on the others for the gate. Fine-tuning is
 * gradient descent. Checkpoints survive in the object, as on disk; `context()` is a new process.
 */
export class ToyAdaptation {
  readonly calls: string[] = [];
  readonly events: LadderEvent[] = [];
  readonly published: Candidate[] = [];
  /** Phase that was current at each call. */
  readonly phases: string[] = [];
  readonly controller = new AbortController();
  readonly old: Adapter;
  readonly #options: ToyOptions;
  readonly #size: { readonly outFeatures: number; readonly inFeatures: number };
  readonly #layer: Layer;
  readonly #random = Random.fromSeed(8);
  #phase: LadderPhase | 'none' = 'none';
  #saved: { state: string; best: Candidate | null } | null = null;
  #trained: { rung: RungName; step: number; adapter: Adapter } | null = null;

  constructor(options: ToyOptions = {}) {
    this.#options = options;
    this.#size = { outFeatures: 2 * (options.searchRows ?? 6), inFeatures: IN_FEATURES };
    this.old = randomAdapter([{ name: LAYER, ...this.#size }], RANK, RANK, 11);
    this.#layer = this.#makeLayer(12);
  }

  #makeLayer(seed: number): Layer {
    const { change = 0.5, bestAlpha = 1, bestBeta = -1, novelty = 0 } = this.#options;
    const { outFeatures, inFeatures } = this.#size;
    const direction = matmul(randomMatrix(outFeatures, 1, seed), randomMatrix(1, inFeatures, seed + 1));
    const delta = scaled(direction, change);
    const unreachable = scaled(
      matmul(randomMatrix(outFeatures, 1, seed + 2), randomMatrix(1, inFeatures, seed + 3)),
      novelty,
    );
    const fused = productOf(this.old.modules.get(LAYER)!).data.map(
      (value, i) => bestAlpha * value + bestBeta * delta.data[i]!,
    );
    const wanted = { ...direction, data: fused.map((value, i) => value + unreachable.data[i]!) };
    // It has the adapter's rank, so that training can reach it.
    return { delta, wanted: bestApproximation(wanted, RANK) };
  }

  context(): LadderContext {
    return {
      oldAdapter: this.old,
      evolution: evolutionOf(new Map([[LAYER, this.#layer.delta]])),
      seed: 3,
      signal: this.controller.signal,
      createFresh: (seed) => emptied(randomAdapter([{ name: LAYER, ...this.#size }], RANK, RANK, seed)),
      searchRows: this.#rowTokens().length,
      searchLoss: async (adapter) => this.#call('search', () => this.loss(adapter, 0)),
      canTrain: this.#options.canTrain ?? true,
      searchMetric: async (adapter) => this.#call('watch', () => this.#watched(adapter)),
      gateMetric: async (adapter) => this.#call('gate', () => this.metric(adapter)),
      fineTune: (request) => this.#fineTune(request),
      publish: async (candidate) => this.#call(`publish ${candidate.id}`, () => void this.published.push(candidate)),
      phase: (phase) => void (this.#phase = phase),
      report: (event) => void this.events.push(event),
      checkpoint: async (state, best) =>
        this.#call('checkpoint', () => void (this.#saved = { state: JSON.stringify(state), best })),
      ...(this.#saved ? { resume: this.#resume(this.#saved) } : {}),
    };
  }

  /** Mean squared difference on the even (0) or odd (1) rows. */
  loss(adapter: Adapter, parity: 0 | 1): number {
    const tokens = this.#rowTokens();
    const losses = this.#rowLosses(adapter, parity);
    return losses.reduce((sum, loss) => sum + loss, 0) / tokens.reduce((sum, count) => sum + count, 0);
  }

  /** Summed squared differences of each of the even (0) or odd (1) rows. */
  #rowLosses(adapter: Adapter, parity: 0 | 1): number[] {
    const { data, cols } = errorOf(adapter, this.#layer);
    const sumOf = (row: number) =>
      data.subarray(row * cols, (row + 1) * cols).reduce((sum, error) => sum + error ** 2, 0);
    return this.#rowTokens().map((_, row) => sumOf(2 * row + parity));
  }

  #rowTokens(): number[] {
    return new Array<number>(this.#size.outFeatures / 2).fill(this.#size.inFeatures);
  }

  /** The loss on the odd rows, each of which is a row of the gate. */
  metric(adapter: Adapter): GateMeasurement {
    const noise = this.#options.gateNoise ?? 0;
    const exact = this.#rowLosses(adapter, 1);
    const values = exact.map((loss) => loss + noise * this.#size.inFeatures * this.#random.normal());
    return {
      metric: { name: 'loss', value: this.loss(adapter, 1), rows: values.length, standardError: 0.001 },
      outcomes: { values, tokens: this.#rowTokens() },
    };
  }

  #watched(adapter: Adapter): SearchMeasurement {
    const values = this.#rowLosses(adapter, 0);
    const standardError = this.#options.doubt ?? 100;
    return {
      metric: { name: 'loss', value: this.loss(adapter, 0), rows: values.length, standardError },
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

  async #fineTune(request: FineTuneRequest): Promise<void> {
    const { rung, initial, regularization, steps, evaluateEvery, onEvaluate } = request;
    let { step, adapter } = this.#trained?.rung === rung ? this.#trained : { step: 0, adapter: initial };
    while (step < steps) {
      this.controller.signal.throwIfAborted();
      const { towards } = regularization;
      const penalty = {
        lambda: l2Coefficient(regularization, step, steps),
        towards,
        anchor: request.anchor ?? anchorOf(regularization, initial),
      };
      adapter = this.#call('step', () => this.#descend(adapter, penalty));
      step++;
      if (step % evaluateEvery !== 0 && step !== steps) continue;
      const verdict = await onEvaluate(step, adapter);
      this.#trained = { rung, step, adapter };
      if (verdict === 'stop') return;
    }
  }

  #descend(adapter: Adapter, penalty: Penalty): Adapter {
    const raw = this.#gradients(adapter);
    const gradients = withL2Gradients(raw, adapter, penalty);
    const rate = this.#options.learningRate ?? 2;
    const moved = (values: Float32Array, gradient: Float32Array) =>
      values.map((value, i) => value - rate * gradient[i]!);
    const modules = [...adapter.modules].map(([name, factors]): [string, LoraFactors] => {
      const { a, b } = gradients.get(name)!;
      return [name, { ...factors, a: moved(factors.a, a), b: moved(factors.b, b) }];
    });
    return { ...adapter, modules: new Map(modules) };
  }

  /** Gradient of the mean square over all rows. */
  #gradients(adapter: Adapter): Map<string, TrainableArrays> {
    const factors = adapter.modules.get(LAYER)!;
    const { rank, outFeatures, inFeatures, scaling } = factors;
    const error = scaled(errorOf(adapter, this.#layer), (2 * scaling) / (outFeatures * inFeatures));
    const b = matmul(error, transpose(matrix(rank, inFeatures, factors.a)));
    const a = transposedMatmul(matrix(outFeatures, rank, factors.b), error);
    return new Map([[LAYER, { a: Float32Array.from(a.data), b: Float32Array.from(b.data) }]]);
  }
}

function errorOf(adapter: Adapter, { wanted }: Layer): Matrix {
  const product = productOf(adapter.modules.get(LAYER)!);
  return { ...product, data: product.data.map((value, i) => value - wanted.data[i]!) };
}

export const ids = (candidates: readonly CandidateRecord[]) => candidates.map(({ id }) => id);

function scaled(a: Matrix, factor: number): Matrix {
  return scaleColumns(a, new Float64Array(a.cols).fill(factor));
}

function emptied(adapter: Adapter): Adapter {
  const modules = [...adapter.modules].map(
    ([name, factors]) => [name, { ...factors, b: factors.b.map(() => 0) }] as const,
  );
  return { ...adapter, modules: new Map(modules) };
}
